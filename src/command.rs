//! The command line: one file per subcommand, each with its own arguments and help.

mod attach;
mod audit;
mod chaos;
mod check;
mod completions;
mod health;
mod load;
mod options;
mod run;
mod serve;
mod up;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};

/// A whole shop under stress, in one command: services, shoppers, faults, and a verdict.
///
/// Without a command it runs the demo: the shop opens, load comes in, the bank slows down, an order replica is killed, and
/// after a minute there is a verdict with measurements.
#[derive(Debug, Parser)]
#[command(
    name = "doorbuster",
    version,
    about,
    args_conflicts_with_subcommands = true,
    after_help = "\
Exit codes: 0 pass, 1 the tool could not do its work, 2 an expectation failed, 3 inconclusive, 4 the measurement is invalid.

Examples:
  doorbuster                              the demo
  doorbuster run my.yaml --seed 3         a scenario of your own
  doorbuster up                           the shop alone, until Ctrl-C
  doorbuster load my.yaml --target http://127.0.0.1:8080    the load alone
  doorbuster audit --topology FILE        check the data of a shop that is up for contradictions"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// For the demo, when no command is given.
    #[command(flatten)]
    demo: run::RunFlags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Open the shop, send the load, inject the faults, audit, judge, record; then close everything
    Run(run::RunArgs),
    /// Open the shop and keep it open until Ctrl-C
    Up(up::UpArgs),
    /// Send the load alone, to a shop that is up
    Load(load::LoadArgs),
    /// Run one service in the foreground
    Serve(Box<serve::ServeArgs>),
    /// Check whether a service is ready: exit code 0, else 1. For health checks of containers
    Health(health::HealthArgs),
    /// Inject faults into a shop that is up, or into any TCP connection
    Chaos(chaos::ChaosArgs),
    /// Check the data of a shop that is up for contradictions: orders, money, stock, messages, events
    Audit(audit::AuditArgs),
    /// Read a scenario and report every mistake, with line and column
    Check(check::CheckArgs),
    /// Write a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Write the manual pages
    Man(completions::ManArgs),
}

impl Cli {
    /// Executes the command and gives the exit code.
    ///
    /// # Errors
    /// The command could not do its work.
    pub(crate) fn execute(self) -> Result<u8> {
        match self.command {
            None => run::demo(&self.demo),
            Some(Command::Run(args)) => run::run(&args),
            Some(Command::Up(args)) => up::up(&args).map(|()| 0),
            Some(Command::Load(args)) => load::load(&args),
            Some(Command::Serve(args)) => serve::serve(*args).map(|()| 0),
            Some(Command::Health(args)) => health::health(&args).map(|()| 0),
            Some(Command::Chaos(args)) => chaos::execute(args),
            Some(Command::Audit(args)) => audit::audit(&args),
            Some(Command::Check(args)) => check::check(&args).map(|()| 0),
            Some(Command::Completions(args)) => {
                completions::completions(&args, Self::command()).map(|()| 0)
            }
            Some(Command::Man(args)) => completions::man(&args, Self::command()).map(|()| 0),
        }
    }
}
