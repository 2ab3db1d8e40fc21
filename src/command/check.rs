//! `doorbuster check`: reads a scenario and reports every mistake.

use std::path::PathBuf;

use anyhow::Result;

use crate::scenario::Scenario;
use crate::terminal::output;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example: doorbuster check my.yaml")]
pub(super) struct CheckArgs {
    /// The scenario file
    scenario: PathBuf,
}

/// Prints what the scenario will do.
///
/// # Errors
/// Its mistakes.
pub(super) fn check(args: &CheckArgs) -> Result<()> {
    let scenario = Scenario::read(&args.scenario, None)?;
    output::print(&scenario.describe());
    Ok(())
}
