//! The `doorbuster` command: parses its arguments and dispatches them.
//!
//! Rooms depend downwards only: `command` → `run` → `audit` → `shop` → `scenario`, `terminal` and the other files here.

mod audit;
mod command;
mod environment;
mod harness_metrics;
mod http;
mod patterns;
mod run;
mod runtime;
mod scenario;
mod shop;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use command::Cli;
use scenario::ScenarioError;

/// Exit code: the tool could not do its work.
const COULD_NOT: u8 = 1;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are no errors.
        Err(e) => {
            let code = if e.use_stderr() { COULD_NOT } else { 0 };
            let _ = e.print();
            return ExitCode::from(code);
        }
    };
    match cli.execute() {
        Ok(code) => ExitCode::from(code),
        Err(e) => {
            // Mistakes in a file stand alone on their lines, as compilers print them, for editors to follow.
            match e.downcast_ref::<ScenarioError>() {
                Some(ScenarioError::Mistakes(mistakes)) => eprintln!("{mistakes}"),
                _ => eprintln!("doorbuster: {e:#}"),
            }
            ExitCode::from(COULD_NOT)
        }
    }
}
