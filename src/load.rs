//! `doorbuster load`: the crowd alone, against a shop that somebody else has opened.
//!
//! It leaves a record as a run does. What only the owner of a shop can know is not in it: the states of processes, the
//! faults, the audit. The orders that shoppers were promised are in its `ledger.jsonl`, for `doorbuster audit`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use loadgen::plan::Plan;
use loadgen::{Options, Target};
use results::expect::{self, Expectation};
use results::record::RunSummary;
use results::run_dir::RunDir;
use tokio_util::sync::CancellationToken;

use crate::audit;
use crate::figures::{Figures, Page};
use crate::progress::Progress;
use crate::run;
use crate::run::closing;
use crate::run::recorder::Recorder;
use crate::scenario::Scenario;
use crate::targets::{self, Targets};

/// What `doorbuster load` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The scenario's shop must be the one that is up: its seed, products and customers are who the shoppers are and what they
look for. Its faults are not injected, and of its expectations only those of steps are judged.

Examples:
  doorbuster load scenarios/demo.yaml --target http://127.0.0.1:8080
  doorbuster audit --topology runs/.../topology.json --ledger runs/.../ledger.jsonl")]
pub(crate) struct LoadArgs {
    /// The scenario file
    scenario: PathBuf,
    /// The shop's front door, such as http://127.0.0.1:8080
    #[arg(long, env = "DOORBUSTER_TARGET", value_name = "URL")]
    target: String,
    /// Folder that the run's own folder is made in
    #[arg(long, env = "DOORBUSTER_OUT", default_value = "runs")]
    out: PathBuf,
    /// Seed of arrivals and shoppers, instead of the scenario's
    #[arg(long, env = "DOORBUSTER_SEED")]
    seed: Option<u64>,
    /// Print run.json to standard output, and all else to standard error
    #[arg(long)]
    json: bool,
    /// No progress, only the summary
    #[arg(long, short)]
    quiet: bool,
    /// Where the crowd's own metrics are served
    #[arg(
        long,
        env = "DOORBUSTER_METRICS",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:0"
    )]
    metrics: SocketAddr,
}

/// Sends a scenario's crowd; gives the exit code.
///
/// # Errors
/// Mistakes in the scenario, a target that is none, a folder that cannot be written, an address that is taken or may not
/// be used.
pub(crate) fn load(args: &LoadArgs) -> Result<u8> {
    let mut scenario = Scenario::read(&args.scenario, args.seed)?;
    let progress = Arc::new(Progress::new(args.quiet));
    if !scenario.faults.is_empty() {
        progress.say("The scenario's faults are not injected: this shop is somebody else's.");
        scenario.faults.clear();
    }
    let all = scenario.expect.len();
    scenario
        .expect
        .retain(|e| matches!(e, Expectation::Step { .. }));
    if scenario.expect.len() < all {
        progress.say("Expectations other than those of steps are not judged.");
    }
    let target = Target::resolve(&args.target)?;
    let runtime = run::runtime()?;
    let code = runtime.block_on(async {
        let stop = run::stop_on_signal();
        let (summary, dir) = send(&scenario, target, args, &progress, &stop).await?;
        progress.done();
        if let Err(e) = closing::show(&summary, &dir, args.json, args.quiet) {
            tracing::warn!(error = %e, "the summary could not be shown");
        }
        Ok(expect::exit_code(summary.verdict, summary.interrupted))
    });
    runtime.shutdown_timeout(Duration::from_millis(100));
    progress.done();
    code
}

async fn send(
    scenario: &Scenario,
    target: Target,
    args: &LoadArgs,
    progress: &Arc<Progress>,
    stop: &CancellationToken,
) -> Result<(RunSummary, RunDir)> {
    // A shop that is not there would be a crowd of failures, and nobody means that.
    let front = tokio::net::TcpStream::connect(target.host()).await;
    front.with_context(|| {
        format!(
            "no shop answers at {}; open one with `doorbuster up`, or name its front door with --target",
            args.target
        )
    })?;
    let figures = Figures::of(&scenario.load);
    let page = Page::open(args.metrics, &figures).await?;
    let started_at = Timestamp::now();
    let name = format!("{}-load", scenario.name);
    let dir = RunDir::create(&args.out, &name, started_at)?;
    run::log_to(&dir);
    dir.write_text("scenario.yaml", &scenario.text)?;
    let plan = Plan::new(
        scenario.load.clone(),
        scenario.seed,
        scenario.shop.customers,
    );
    let planned = closing::write_plan(&dir, &plan, &[])?;
    let targets = Targets::beside(&dir);
    targets.write([targets::harness(page.address())])?;
    progress.say(&format!(
        "{} shoppers will come to {} in {}; their metrics: http://{}/metrics",
        planned.sessions,
        args.target,
        syntax::units::show_duration(scenario.load.total()),
        page.address(),
    ));
    let recorder = Recorder::open(
        &dir,
        Timestamp::now(),
        Arc::new(BTreeMap::new),
        Arc::clone(progress),
        figures.clone(),
        plan.demand(),
    )?;
    let folder = dir.path().file_name();
    let options = Options {
        key_prefix: folder.map_or_else(String::new, |n| n.to_string_lossy().into_owned()),
        metrics: Some(figures.recorder()),
        ..Options::default()
    };
    let observe = |event| recorder.load(event);
    let mut outcome = loadgen::run(&plan, target, options, stop.clone(), observe).await?;
    recorder.finish()?;
    let doubts = std::mem::take(&mut outcome.doubts);
    let mut summary = RunSummary {
        audit: audit::not_made(&outcome.ledger),
        ..closing::summary(scenario, started_at, planned, outcome)
    };
    closing::conclude(&scenario.expect, &mut summary, doubts);
    dir.write_summary(&summary)?;
    Ok((summary, dir))
}
