//! `doorbuster up`: the shop alone, until Ctrl-C.

use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail};
use results::run_dir::RunDir;

use crate::cli::RunOptions;
use crate::progress::Progress;
use crate::run;
use crate::scenario::Scenario;
use crate::shop::Shop;

/// Opens a scenario's shop and keeps it open.
///
/// # Errors
/// Mistakes in the scenario, a port that is taken, a service that does not start.
pub(crate) fn up(path: &Path, options: &RunOptions) -> Result<()> {
    if options.docker.project().is_some() {
        bail!(
            "a shop in Docker is brought up by `docker compose up -d`; leave out --docker (DOORBUSTER_DOCKER)"
        );
    }
    let mut scenario = Scenario::read(path, options.seed)?;
    // None of them comes here, and so no way needs a proxy.
    scenario.faults.clear();
    run::runtime()?.block_on(async {
        let dir = RunDir::create(&options.out, "up", jiff::Timestamp::now())?;
        run::log_to(&dir);
        let progress = Progress::new(options.quiet);
        let stop = run::stop_on_signal();
        let opened = Shop::open(&scenario, options, &dir, &progress, None, &stop).await;
        progress.done();
        let shop = opened?;
        let topology = dir.path().join("topology.json");
        let gateway = shop.gateway();
        let told = format!(
            "The shop is open: http://{gateway}\n  try      curl 'http://{gateway}/products?limit=3'\n  where    {}\n  audit    doorbuster audit --topology {}\n  logs     {}\nCtrl-C closes it.\n",
            topology.display(),
            topology.display(),
            dir.logs().display()
        );
        // A closed pipe is no reason to close the shop.
        let _ = std::io::stdout().write_all(told.as_bytes());
        stop.cancelled().await;
        shop.close(options.keep_data).await;
        Ok(())
    })
}
