//! `doorbuster load`: the load alone, against a shop that is up.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use super::attach::ShopArgs;
use super::options::OutputArgs;
use crate::harness_metrics::MetricsServer;
use crate::run::remote::{self, LoadOptions};
use crate::runtime;
use crate::scenario::Scenario;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The scenario's shop must match the one that is up: its seed, products and customers decide who the shoppers are and what
they look for. Its faults are not injected, and only its expectations of steps are judged.

Examples:
  doorbuster load scenarios/demo.yaml --target http://127.0.0.1:8080
  doorbuster load scenarios/demo.yaml --docker                      the shop of a Compose project
  doorbuster audit --topology runs/.../topology.json --ledger runs/.../ledger.jsonl")]
pub(super) struct LoadArgs {
    /// The scenario file
    scenario: PathBuf,
    /// The shop's public address, such as http://127.0.0.1:8080. By default that of --topology or --docker
    #[arg(
        long,
        env = "DOORBUSTER_TARGET",
        value_name = "URL",
        conflicts_with = "topology"
    )]
    target: Option<String>,
    #[command(flatten)]
    shop: ShopArgs,
    /// Seed of arrivals and shoppers, instead of the scenario's
    #[arg(long, env = "DOORBUSTER_SEED")]
    seed: Option<u64>,
    #[command(flatten)]
    output: OutputArgs,
    /// Address of the metrics of the load
    #[arg(
        long,
        env = "DOORBUSTER_METRICS",
        value_name = "ADDRESS",
        default_value_t = MetricsServer::ANY_PORT
    )]
    metrics: SocketAddr,
}

/// Sends a scenario's load. Gives the exit code.
///
/// # Errors
/// The scenario has mistakes, the target is no URL or does not answer, a folder cannot be written, or an address is not
/// available.
pub(super) fn load(args: &LoadArgs) -> Result<u8> {
    let scenario = Scenario::read(&args.scenario, args.seed)?;
    let target = match &args.target {
        Some(target) => target.clone(),
        None => args.shop.find()?.target()?,
    };
    let options = LoadOptions {
        target,
        out: args.shop.out.clone(),
        json: args.output.json,
        quiet: args.output.quiet,
        metrics: args.metrics,
    };
    let runtime = runtime::runtime()?;
    let code = runtime.block_on(async {
        let stop = runtime::stop_on_signal();
        remote::load(&scenario, &options, &stop).await
    });
    runtime.shutdown_timeout(Duration::from_millis(100));
    code
}
