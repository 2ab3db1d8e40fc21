//! One run from start to end.

use std::sync::Arc;

use anyhow::Result;
use chaos::{AbortMonitor, Schedule};
use results::expect;
use results::record::RunSummary;
use results::run_dir::RunDir;
use tokio_util::sync::CancellationToken;

use super::closing;
use super::experiment::Experiment;
use super::load::PlannedLoad;
use super::options::RunOptions;
use crate::harness_metrics::{HarnessMetrics, MetricsServer};
use crate::scenario::Scenario;
use crate::shop::docker::metrics_listener;
use crate::shop::{Shop, ShopOptions};
use crate::terminal::progress::Progress;

/// A run that has ended and is recorded.
pub(crate) struct FinishedRun {
    /// Its `run.json`.
    pub summary: RunSummary,
    /// Its folder.
    pub dir: RunDir,
}

/// Runs a scenario until its end, or until `stop` is cancelled, and writes its record into a folder named `name`. Shows
/// nothing but progress.
///
/// # Errors
/// A folder cannot be written, a port is taken, or a service does not start.
pub(crate) async fn conduct(
    scenario: &Scenario,
    name: &str,
    options: &RunOptions,
    stop: &CancellationToken,
) -> Result<FinishedRun> {
    let progress = Arc::new(Progress::new(options.quiet));
    let finished = conduct_with(scenario, name, options, &progress, stop).await;
    progress.finish();
    finished
}

async fn conduct_with(
    scenario: &Scenario,
    name: &str,
    options: &RunOptions,
    progress: &Arc<Progress>,
    stop: &CancellationToken,
) -> Result<FinishedRun> {
    let schedule =
        Schedule::new(scenario.faults.clone(), scenario.seed).until(scenario.load.total());
    let load = PlannedLoad::create(
        scenario,
        HarnessMetrics::of(&scenario.load),
        &options.out,
        name,
        &schedule.digest_lines(),
    )?;
    let server = serve_metrics(options, &load.metrics, progress).await?;
    let harness = Some(server.address());
    let shop = Shop::open(scenario, &options.shop, &load.dir, progress, harness, stop).await?;
    progress.line(&format!(
        "The shop is open on http://{}; {} shoppers will come in {}.",
        shop.gateway(),
        load.planned.sessions,
        syntax::units::show_duration(scenario.load.total())
    ));
    let experiment = Experiment {
        scenario,
        load: &load,
        target: shop.gateway(),
        backend: shop.backend(),
        progress,
        stop,
    };
    let abort = AbortMonitor::new(scenario.abort.clone());
    let observed = match experiment.run(schedule, abort).await {
        Ok(observed) => observed,
        Err(e) => {
            progress.finish();
            shop.close(true).await;
            return Err(e);
        }
    };
    let mut summary = RunSummary {
        aborted: observed.aborted,
        faults: observed.faults,
        metastability: observed.metastability,
        crashes: shop.backend().crashes(),
        audit: observed.audit,
        resources: observed.resources,
        ..closing::summary(
            scenario,
            load.started_at,
            load.planned.clone(),
            observed.outcome,
        )
    };
    expect::conclude(&scenario.expect, &mut summary, &observed.doubts);
    progress.activity("closing the shop".to_owned());
    // The record is written first, in case closing the shop fails.
    load.dir.write_summary(&summary)?;
    shop.close(!summary.audit.violations.is_empty()).await;
    Ok(FinishedRun {
        summary,
        dir: load.dir,
    })
}

/// Serves the harness's metrics at the address of the options, or where the shop's Prometheus scrapes them.
async fn serve_metrics(
    options: &RunOptions,
    metrics: &HarnessMetrics,
    progress: &Progress,
) -> Result<MetricsServer> {
    let ShopOptions::Docker { project } = &options.shop else {
        let address = options.metrics.unwrap_or(MetricsServer::ANY_PORT);
        return MetricsServer::bind(address, metrics).await;
    };
    let (server, note) = match options.metrics {
        Some(address) => (MetricsServer::bind(address, metrics).await?, String::new()),
        None => {
            let bound = metrics_listener::bind(project).await?;
            let server = MetricsServer::on(bound.listener, bound.token, metrics)?;
            (server, format!("; {}", bound.note))
        }
    };
    progress.line(&format!(
        "The harness's metrics: http://{}/metrics{note}.",
        server.address()
    ));
    Ok(server)
}
