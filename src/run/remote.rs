//! The load alone, against a shop that is up.
//!
//! The record has no process states, faults or audit, because only the owner of the shop has them. Orders that shoppers were
//! promised are in its `ledger.jsonl`, for `doorbuster audit`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use loadgen::Target;
use results::expect::{self, Expectation};
use results::record::RunSummary;
use results::run_dir::RunDir;
use tokio_util::sync::CancellationToken;

use super::closing;
use super::load::PlannedLoad;
use crate::audit;
use crate::harness_metrics::{HarnessMetrics, MetricsServer};
use crate::scenario::Scenario;
use crate::shop::scrape_targets::{self, ScrapeTargets};
use crate::terminal::progress::Progress;

/// The options of a load.
#[derive(Debug, Clone)]
pub(crate) struct LoadOptions {
    /// The shop's public address.
    pub target: String,
    /// The folder in which the run's folder is created.
    pub out: PathBuf,
    /// Print `run.json` to standard output.
    pub json: bool,
    /// Show no progress.
    pub quiet: bool,
    /// The address of the harness's own metrics.
    pub metrics: SocketAddr,
}

/// Sends a scenario's load, shows the summary, and gives the exit code. Faults are not injected, and only expectations of
/// steps are judged.
///
/// # Errors
/// The target is no URL or does not answer, a folder cannot be written, or an address is not available.
pub(crate) async fn load(
    scenario: &Scenario,
    options: &LoadOptions,
    stop: &CancellationToken,
) -> Result<u8> {
    let progress = Arc::new(Progress::new(options.quiet));
    let sent = send(scenario, options, &progress, stop).await;
    progress.finish();
    let (summary, dir) = sent?;
    closing::show(&summary, &dir, options.json, options.quiet);
    Ok(expect::exit_code(summary.verdict, summary.interrupted))
}

/// The scenario without faults, and with expectations of steps only.
fn load_only(mut scenario: Scenario, progress: &Progress) -> Scenario {
    if !scenario.faults.is_empty() {
        progress.line(
            "The scenario's faults are not injected, because the shop belongs to someone else.",
        );
        scenario.faults.clear();
    }
    let all = scenario.expect.len();
    scenario
        .expect
        .retain(|e| matches!(e, Expectation::Step { .. }));
    if scenario.expect.len() < all {
        progress.line("Only the expectations of steps are judged.");
    }
    scenario
}

async fn send(
    scenario: &Scenario,
    options: &LoadOptions,
    progress: &Arc<Progress>,
    stop: &CancellationToken,
) -> Result<(RunSummary, RunDir)> {
    let scenario = &load_only(scenario.clone(), progress);
    let target = Target::resolve(&options.target)?;
    // Without a shop the load would only be failures.
    let connected = tokio::net::TcpStream::connect(target.host()).await;
    connected.with_context(|| {
        format!(
            "no shop answers at {}; open one with `doorbuster up`, or give its address with --target",
            options.target
        )
    })?;
    let metrics = HarnessMetrics::of(&scenario.load);
    let server = MetricsServer::bind(options.metrics, &metrics).await?;
    let name = format!("{}-load", scenario.name);
    let load = PlannedLoad::create(scenario, metrics, &options.out, &name, &[])?;
    let targets = ScrapeTargets::beside(&load.dir);
    targets.write([scrape_targets::harness(server.address())])?;
    progress.line(&format!(
        "{} shoppers will come to {} in {}; their metrics: http://{}/metrics",
        load.planned.sessions,
        options.target,
        syntax::units::show_duration(scenario.load.total()),
        server.address(),
    ));
    let recorder = load.recorder(Arc::new(BTreeMap::new), progress)?;
    let observe = |event| recorder.load(event);
    let mut outcome = load.send(target, None, stop.clone(), observe).await?;
    recorder.finish()?;
    let doubts = std::mem::take(&mut outcome.doubts);
    let mut summary = RunSummary {
        audit: audit::not_made(&outcome.ledger),
        ..closing::summary(scenario, load.started_at, load.planned.clone(), outcome)
    };
    expect::conclude(&scenario.expect, &mut summary, &doubts);
    load.dir.write_summary(&summary)?;
    Ok((summary, load.dir))
}
