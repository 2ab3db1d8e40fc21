//! `doorbuster chaos`: faults in a shop that is up, injected through the admin listeners of its services.
//!
//! Each fault has a time to live that its target enforces, so it ends even if this command dies.

mod clear;
mod inject;
mod list;
mod proxy;
mod replicas;
mod targets;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::shop::docker::guard;

#[derive(Debug, Args)]
pub(super) struct ChaosArgs {
    #[command(subcommand)]
    command: ChaosCommand,
}

#[derive(Debug, Subcommand)]
enum ChaosCommand {
    /// Inject a fault, and show its hits until it has ended
    Inject(inject::InjectArgs),
    /// List the faults in force at every replica, and their hits
    List(list::ListArgs),
    /// End one fault, or all of them, at every replica
    Clear(clear::ClearArgs),
    /// Restores containers when the run that has disrupted them dies; started by a run
    #[command(hide = true)]
    Guard,
    /// A TCP fault proxy that speaks the Toxiproxy HTTP API, until Ctrl-C
    Proxy(proxy::ProxyArgs),
}

/// Executes the command and gives the exit code.
///
/// # Errors
/// The command could not do its work.
pub(super) fn execute(args: ChaosArgs) -> Result<u8> {
    match args.command {
        ChaosCommand::Inject(args) => inject::inject(&args),
        ChaosCommand::List(args) => list::list(&args),
        ChaosCommand::Clear(args) => clear::clear(&args),
        ChaosCommand::Guard => guard::guard(),
        ChaosCommand::Proxy(args) => proxy::proxy(&args).map(|()| 0),
    }
}
