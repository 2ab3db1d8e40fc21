//! `doorbuster up`: the shop alone, until Ctrl-C.

use std::path::PathBuf;

use anyhow::{Result, bail};
use results::run_dir::RunDir;

use super::options::{DockerArgs, LocalShopArgs, OutArgs};
use crate::runtime;
use crate::scenario::{DEMO_PATH, Scenario};
use crate::shop::{Shop, ShopOptions};
use crate::terminal::output;
use crate::terminal::progress::Progress;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: doorbuster up --port 8080\n         curl http://127.0.0.1:8080/products?limit=3"
)]
pub(super) struct UpArgs {
    /// A scenario file whose shop to open
    #[arg(default_value = DEMO_PATH)]
    scenario: PathBuf,
    #[command(flatten)]
    out: OutArgs,
    /// Seed of the catalogue, instead of the scenario's
    #[arg(long, env = "DOORBUSTER_SEED")]
    seed: Option<u64>,
    /// No progress
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    local: LocalShopArgs,
    // Accepted for the hint in its error.
    #[command(flatten)]
    docker: DockerArgs,
}

/// Opens a scenario's shop and keeps it open.
///
/// # Errors
/// The scenario has mistakes, a port is taken, or a service does not start.
pub(super) fn up(args: &UpArgs) -> Result<()> {
    if args.docker.project().is_some() {
        bail!(
            "a shop in Docker is brought up by `docker compose up -d`; leave out --docker (DOORBUSTER_DOCKER)"
        );
    }
    let mut scenario = Scenario::read(&args.scenario, args.seed)?;
    // Faults are not injected here, so no edge needs a proxy.
    scenario.faults.clear();
    let options = ShopOptions::Local(args.local.options());
    runtime::runtime()?.block_on(async {
        let dir = RunDir::create(&args.out.out, "up", jiff::Timestamp::now())?;
        runtime::log_to(&dir);
        let progress = Progress::new(args.quiet);
        let stop = runtime::stop_on_signal();
        let opened = Shop::open(&scenario, &options, &dir, &progress, None, &stop).await;
        progress.finish();
        let shop = opened?;
        let topology = dir.path().join("topology.json");
        let topology = topology.display();
        let gateway = shop.gateway();
        output::print(&format!(
            "The shop is open: http://{gateway}\n  try      curl 'http://{gateway}/products?limit=3'\n  where    {topology}\n  audit    doorbuster audit --topology {topology}\n  logs     {}\nCtrl-C closes it.\n",
            dir.logs().display()
        ));
        stop.cancelled().await;
        shop.close(false).await;
        Ok(())
    })
}
