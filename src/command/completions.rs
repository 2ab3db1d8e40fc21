//! `doorbuster completions` and `doorbuster man`: what a package installs beside the program.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::CommandFactory;

use super::Cli;
use crate::terminal::output;

/// Write a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: doorbuster completions bash > /etc/bash_completion.d/doorbuster")]
pub(super) struct CompletionsArgs {
    /// The shell.
    shell: clap_complete::Shell,
}

pub(super) fn completions(args: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    let mut command = Cli::command();
    clap_complete::generate(args.shell, &mut command, "doorbuster", &mut script);
    output::print(&String::from_utf8(script).context("the completion script is not text")?);
    Ok(())
}

/// Write the manual pages: one for the program and one for each subcommand.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: doorbuster man --out /usr/local/share/man/man1")]
pub(super) struct ManArgs {
    /// The folder to write them to. It must exist.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(super) fn man(args: &ManArgs) -> Result<()> {
    clap_mangen::generate_to(Cli::command(), &args.out).with_context(|| {
        format!(
            "the manual pages cannot be written to {}; check that this folder exists and is writable",
            args.out.display()
        )
    })
}
