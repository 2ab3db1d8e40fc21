//! The command line: what can be asked, and its help.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::chaos::proxy::ProxyArgs;
use crate::scenario::DEMO_PATH;
use crate::serve::ServeArgs;

/// A whole shop under stress, in one command: services, shoppers, faults, and a verdict.
///
/// Without a command it runs the demo: the shop opens, a crowd comes in, the bank slows down, an order replica is
/// killed, and after a minute there is a verdict with figures in it.
#[derive(Debug, Parser)]
#[command(
    name = "doorbuster",
    version,
    about,
    args_conflicts_with_subcommands = true,
    after_help = "\
Exit codes: 0 pass, 1 the tool could not do its work, 2 an expectation failed, 4 the measurement is invalid.

Examples:
  doorbuster                              the demo
  doorbuster run my.yaml --seed 3         a scenario of your own
  doorbuster up                           the shop alone, until Ctrl-C"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// For the demo, when no command is given.
    #[command(flatten)]
    pub run: RunOptions,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Open the shop, send the crowd, inject the faults, audit, judge, record; then close everything
    #[command(
        after_help = "Example: doorbuster run scenarios/demo.yaml --seed 3 --json > result.json"
    )]
    Run {
        /// The scenario file
        #[arg(default_value = DEMO_PATH)]
        scenario: PathBuf,
        #[command(flatten)]
        options: RunOptions,
    },
    /// Open the shop and keep it open until Ctrl-C
    #[command(
        after_help = "Example: doorbuster up --port 8080\n         curl http://127.0.0.1:8080/products?limit=3"
    )]
    Up {
        /// A scenario file whose shop to open
        #[arg(default_value = DEMO_PATH)]
        scenario: PathBuf,
        #[command(flatten)]
        options: RunOptions,
    },
    /// One service in the foreground
    Serve(ServeArgs),
    /// Faults by hand
    Chaos {
        #[command(subcommand)]
        command: ChaosCommand,
    },
    /// Read a scenario and say every mistake in it, with line and column
    #[command(after_help = "Example: doorbuster check my.yaml")]
    Check {
        /// The scenario file
        scenario: PathBuf,
    },
}

/// What can be done to a shop, or to anything else, by hand.
#[derive(Debug, Subcommand)]
pub(crate) enum ChaosCommand {
    /// A TCP fault proxy that speaks the Toxiproxy HTTP API, until Ctrl-C
    Proxy(ProxyArgs),
}

/// Options of a run.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunOptions {
    /// Folder that the run's own folder is made in
    #[arg(long, env = "DOORBUSTER_OUT", default_value = "runs")]
    pub out: PathBuf,
    /// Seed of arrivals, shoppers, faults and catalogue, instead of the scenario's
    #[arg(long, env = "DOORBUSTER_SEED")]
    pub seed: Option<u64>,
    /// Port of the gateway on 127.0.0.1; 0 takes any free one
    #[arg(long, env = "DOORBUSTER_PORT", default_value_t = 8080)]
    pub port: u16,
    /// Print run.json to standard output, and all else to standard error
    #[arg(long)]
    pub json: bool,
    /// No progress, only the summary
    #[arg(long, short)]
    pub quiet: bool,
    /// Keep the services' databases: in the run's folder, or on the server of --database
    #[arg(long)]
    pub keep_data: bool,
    /// A PostgreSQL server such as postgres://user:password@127.0.0.1:5432, on which each service gets a database of
    /// its own for the time of the run, instead of SQLite files
    #[arg(long, env = "DOORBUSTER_DATABASE", hide_env_values = true)]
    pub database: Option<String>,
    /// A NATS server with JetStream such as nats://127.0.0.1:4222, which events between services go through, instead
    /// of HTTP
    #[arg(long, env = "DOORBUSTER_EVENTS", hide_env_values = true)]
    pub events: Option<String>,
    /// A mail server such as smtp://127.0.0.1:1025, which the shop's e-mail is sent to, instead of kept
    #[arg(long, env = "DOORBUSTER_SMTP_URL", hide_env_values = true)]
    pub smtp_url: Option<String>,
}

impl RunOptions {
    /// Where the gateway listens.
    pub(crate) fn gateway(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }
}
