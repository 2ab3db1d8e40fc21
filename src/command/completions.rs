//! `doorbuster completions` and `doorbuster man`: files that a package installs with the program.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Command;

use crate::terminal::output;

/// Write a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: doorbuster completions bash > /etc/bash_completion.d/doorbuster")]
pub(super) struct CompletionsArgs {
    /// The shell.
    shell: clap_complete::Shell,
}

/// Prints the completion script of `command`.
///
/// # Errors
/// The script is not text.
pub(super) fn completions(args: &CompletionsArgs, mut command: Command) -> Result<()> {
    let mut script = Vec::new();
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

/// Writes the manual pages of `command`.
///
/// # Errors
/// The folder cannot be written.
pub(super) fn man(args: &ManArgs, command: Command) -> Result<()> {
    clap_mangen::generate_to(command, &args.out).with_context(|| {
        format!(
            "the manual pages cannot be written to {}; check that this folder exists and is writable",
            args.out.display()
        )
    })
}
