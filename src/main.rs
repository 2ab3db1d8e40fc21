//! The `doorbuster` command: parses, sets up, dispatches. What it does is in the modules it names.

mod ablate;
mod audit;
mod chaos;
mod cli;
mod docker;
mod figures;
mod health;
mod house;
mod http;
mod load;
mod pages;
mod progress;
mod run;
mod scenario;
mod serve;
mod shop;
mod shrink;
mod signals;
mod supervisor;
mod targets;
mod up;

use std::process::ExitCode;

use clap::Parser;

use cli::{ChaosCommand, Cli, Command};
use scenario::{DEMO_PATH, Scenario, ScenarioError};

/// The tool could not do its work.
const COULD_NOT: u8 = 1;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are answers; anything else is a mistake in what was asked.
        Err(e) => {
            let code = if e.use_stderr() { COULD_NOT } else { 0 };
            let _ = e.print();
            return ExitCode::from(code);
        }
    };
    let done = match cli.command {
        None => run::run(DEMO_PATH.as_ref(), &cli.run, None),
        Some(Command::Run {
            scenario,
            options,
            shrink,
        }) => run::run(&scenario, &options, shrink.runs()),
        Some(Command::Load(args)) => load::load(&args),
        Some(Command::Up { scenario, options }) => up::up(&scenario, &options).map(|()| 0),
        Some(Command::Serve(args)) => serve::serve(*args).map(|()| 0),
        Some(Command::Health(args)) => health::health(&args).map(|()| 0),
        Some(Command::Chaos { command }) => match command {
            ChaosCommand::Inject(args) => chaos::inject(&args),
            ChaosCommand::List(args) => chaos::list(&args),
            ChaosCommand::Clear(args) => chaos::clear(&args),
            ChaosCommand::Guard => docker::guard::guard(),
            ChaosCommand::Proxy(args) => chaos::proxy::proxy(&args).map(|()| 0),
        },
        Some(Command::Audit(args)) => audit::command::audit(&args),
        Some(Command::Check { scenario }) => Scenario::read(&scenario, None)
            .map(|s| print!("{}", s.describe()))
            .map(|()| 0)
            .map_err(Into::into),
    };
    match done {
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
