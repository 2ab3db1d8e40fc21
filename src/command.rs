//! The command line: what can be asked, and its help.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::audit::command::AuditArgs;
use crate::chaos;
use crate::docker;
use crate::health::HealthArgs;
use crate::load::LoadArgs;
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
Exit codes: 0 pass, 1 the tool could not do its work, 2 an expectation failed, 3 inconclusive, 4 the measurement is invalid.

Examples:
  doorbuster                              the demo
  doorbuster run my.yaml --seed 3         a scenario of your own
  doorbuster up                           the shop alone, until Ctrl-C
  doorbuster load my.yaml --target http://127.0.0.1:8080    the crowd alone
  doorbuster audit --topology FILE        what a shop that is up holds, checked for contradictions"
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
    #[command(after_help = "\
Examples:
  doorbuster run scenarios/demo.yaml --seed 3 --json > result.json
  doorbuster run scenarios/demo.yaml --without breakers
  doorbuster run scenarios/demo.yaml --ablate=breakers,retries
  doorbuster run storm.yaml --shrink      which of the storm's faults broke it?
  doorbuster run scenarios/docker.yaml --docker=doorbuster      the shop that `docker compose up -d` has brought up")]
    Run {
        /// The scenario file
        #[arg(default_value = DEMO_PATH)]
        scenario: PathBuf,
        #[command(flatten)]
        options: RunOptions,
        #[command(flatten)]
        shrink: ShrinkOptions,
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
    /// The crowd alone, against a shop that is up already
    Load(LoadArgs),
    /// One service in the foreground
    Serve(Box<ServeArgs>),
    /// Whether a service is ready: exit code 0, else 1. What containers ask themselves
    Health(HealthArgs),
    /// Faults in a shop that is up, and a proxy that makes them
    Chaos {
        #[command(subcommand)]
        command: ChaosCommand,
    },
    /// What the services of a shop that is up hold, checked for contradictions: orders, money, stock, messages, events
    #[command(after_help = "\
Exit codes: 0 no contradiction, 1 the shop could not be asked, 2 contradictions, 3 things were still moving.

Examples:
  doorbuster audit --topology runs/2026-11-21T165742Z-up/topology.json
  doorbuster audit --docker
  doorbuster audit --admin order=127.0.0.1:9101 --admin payment=127.0.0.1:9102 --admin bank=127.0.0.1:9103 \\
    --admin inventory=127.0.0.1:9104 --admin notification=127.0.0.1:9105 --ledger ledger.jsonl --json")]
    Audit(AuditArgs),
    /// Read a scenario and say every mistake in it, with line and column
    #[command(after_help = "Example: doorbuster check my.yaml")]
    Check {
        /// The scenario file
        scenario: PathBuf,
    },
}

/// What can be done with the faults of a shop that is up, and to any connection.
#[derive(Debug, Subcommand)]
pub(crate) enum ChaosCommand {
    /// Bring a fault about, and show its hits until it is over
    #[command(after_help = chaos::INJECT_HELP)]
    Inject(chaos::InjectArgs),
    /// The faults in force at every replica, and their hits
    #[command(after_help = chaos::LIST_HELP)]
    List(chaos::PlaceArgs),
    /// End one fault, or all of them, at every replica
    #[command(after_help = chaos::CLEAR_HELP)]
    Clear(chaos::ClearArgs),
    /// Mends containers when the run that has struck them dies; a run starts it
    #[command(hide = true)]
    Guard,
    /// A TCP fault proxy that speaks the Toxiproxy HTTP API, until Ctrl-C
    Proxy(chaos::proxy::ProxyArgs),
}

/// Whether and how long to look for the fewest faults that break a run.
#[derive(Debug, Clone, Args)]
pub(crate) struct ShrinkOptions {
    /// When an expectation fails, repeat the run with fewer faults, and leave the fewest found that still break it in
    /// the run's folder as shrunk.yaml
    #[arg(long)]
    pub shrink: bool,
    /// The most runs that may take
    #[arg(long, value_name = "N", default_value_t = 12, requires = "shrink")]
    pub shrink_runs: u32,
}

impl ShrinkOptions {
    /// How many runs, where it was asked for.
    pub(crate) fn runs(&self) -> Option<u32> {
        self.shrink.then_some(self.shrink_runs)
    }
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
    /// Where the harness serves its own metrics: what the crowd meets, and the faults that no service can show. Else a
    /// free port of 127.0.0.1; with --docker port 9464, where containers reach this machine
    #[arg(long, env = "DOORBUSTER_METRICS", value_name = "ADDRESS")]
    pub metrics: Option<SocketAddr>,
    /// Resilience patterns to do without, separated by commas: retries, breakers, shedding, deadlines, hedging,
    /// bulkheads, budgets, balancing, caches, fallbacks
    #[arg(long, value_name = "PATTERNS")]
    pub without: Option<String>,
    /// Run again without each pattern in turn and show what each is worth: those given, else those that the scenario
    /// relies on, else all
    #[arg(long, value_name = "PATTERNS", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub ablate: Option<String>,
    #[command(flatten)]
    pub docker: DockerArgs,
}

/// A shop in containers.
#[derive(Debug, Clone, Args)]
pub(crate) struct DockerArgs {
    /// The shop that is up in Docker Compose, in the project of this name
    #[arg(
        long,
        env = "DOORBUSTER_DOCKER",
        value_name = "PROJECT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = docker::PROJECT
    )]
    docker: Option<String>,
}

impl DockerArgs {
    /// The project, where a shop in Docker is meant. An empty variable means none.
    pub(crate) fn project(&self) -> Option<&str> {
        self.docker.as_deref().filter(|project| !project.is_empty())
    }
}

impl RunOptions {
    /// Where the gateway listens.
    pub(crate) fn gateway(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }
}
