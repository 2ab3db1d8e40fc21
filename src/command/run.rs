//! `doorbuster run`: one run of a scenario, and its variants `--ablate` and `--shrink`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::options::{DockerArgs, LocalShopArgs, OutArgs, OutputArgs};
use crate::patterns::PatternList;
use crate::run;
use crate::run::ablate::ablate;
use crate::run::options::RunOptions;
use crate::runtime;
use crate::scenario::{DEMO_PATH, Scenario};
use crate::shop::ShopOptions;
use crate::shop::docker::compatibility;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  doorbuster run scenarios/demo.yaml --seed 3 --json > result.json
  doorbuster run scenarios/demo.yaml --without breakers
  doorbuster run scenarios/demo.yaml --ablate=breakers,retries
  doorbuster run storm.yaml --shrink      which of the storm's faults broke it?
  doorbuster run scenarios/docker.yaml --docker=doorbuster      the shop that `docker compose up -d` has brought up")]
pub(super) struct RunArgs {
    /// The scenario file
    #[arg(default_value = DEMO_PATH)]
    scenario: PathBuf,
    #[command(flatten)]
    flags: RunFlags,
    /// If an expectation fails, repeat the run with fewer faults, and write the fewest that still break it to shrunk.yaml
    /// in the run's folder
    #[arg(long, conflicts_with = "ablate")]
    shrink: bool,
    /// The most repetitions
    #[arg(long, value_name = "N", default_value_t = 12, requires = "shrink")]
    shrink_runs: u32,
}

/// The options of a run. The demo has the same.
#[derive(Debug, Clone, Args)]
pub(super) struct RunFlags {
    #[command(flatten)]
    out: OutArgs,
    /// Seed of arrivals, shoppers, faults and catalogue, instead of the scenario's
    #[arg(long, env = "DOORBUSTER_SEED")]
    seed: Option<u64>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    local: LocalShopArgs,
    /// Address of the harness's own metrics: the load, and the faults that no service can export. By default a free port
    /// of 127.0.0.1; with --docker port 9464, where containers can scrape it
    #[arg(long, env = "DOORBUSTER_METRICS", value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    /// Resilience patterns to switch off, separated by commas: retries, breakers, shedding, deadlines, hedging,
    /// bulkheads, budgets, balancing, caches, fallbacks
    #[arg(long, value_name = "PATTERNS")]
    without: Option<PatternList>,
    /// Run again without each pattern in turn and show the benefit of each: the given ones, by default those that the
    /// scenario relies on, else all
    #[arg(long, value_name = "PATTERNS", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    ablate: Option<PatternList>,
    #[command(flatten)]
    docker: DockerArgs,
}

/// Runs the built-in demo. Gives the exit code.
///
/// # Errors
/// See [`run()`].
pub(super) fn demo(flags: &RunFlags) -> Result<u8> {
    execute(DEMO_PATH.as_ref(), flags, None)
}

/// Runs a scenario. Gives the exit code.
///
/// # Errors
/// The scenario has mistakes, a folder cannot be written, a port is taken, or a service does not start.
pub(super) fn run(args: &RunArgs) -> Result<u8> {
    let shrink = args.shrink.then_some(args.shrink_runs);
    execute(&args.scenario, &args.flags, shrink)
}

fn execute(path: &Path, flags: &RunFlags, shrink: Option<u32>) -> Result<u8> {
    let mut scenario = Scenario::read(path, flags.seed)?;
    if let Some(PatternList(patterns)) = &flags.without {
        scenario = scenario.without(patterns);
    }
    let options = flags.options(&scenario)?;
    let runtime = runtime::runtime()?;
    let code = runtime.block_on(async {
        let stop = runtime::stop_on_signal();
        match &flags.ablate {
            Some(PatternList(patterns)) => ablate(&scenario, patterns, &options, &stop).await,
            None => run::once(&scenario, &options, shrink, &stop).await,
        }
    });
    runtime.shutdown_timeout(Duration::from_millis(100));
    code
}

impl RunFlags {
    /// # Errors
    /// Options or faults that a shop in containers does not support: all of them.
    fn options(&self, scenario: &Scenario) -> Result<RunOptions> {
        let shop = match self.docker.project() {
            Some(project) => {
                self.check_docker(scenario)?;
                ShopOptions::Docker {
                    project: project.to_owned(),
                }
            }
            None => ShopOptions::Local(self.local.options()),
        };
        Ok(RunOptions {
            out: self.out.out.clone(),
            json: self.output.json,
            quiet: self.output.quiet,
            metrics: self.metrics,
            shop,
        })
    }

    fn check_docker(&self, scenario: &Scenario) -> Result<()> {
        let mut flags = Vec::new();
        flags.extend(self.without.is_some().then_some("--without"));
        flags.extend(self.ablate.is_some().then_some("--ablate"));
        flags.extend(self.local.given());
        let reason = |flag| {
            format!(
                "{flag}: the settings of a shop in Docker are fixed; set it in the Compose file, or leave out --docker"
            )
        };
        let mut unsupported: Vec<String> = flags.into_iter().map(reason).collect();
        unsupported.extend(compatibility::unsupported(&scenario.faults));
        compatibility::refuse("a shop in Docker does not support this", &unsupported)
    }
}
