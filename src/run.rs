//! `doorbuster run`: shop up, crowd in, faults on schedule, crowd out, audit, verdict, record; then everything down.

pub(crate) mod closing;
pub(crate) mod recorder;
mod sampler;
mod shoppers;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use chaos::{Guard, Injector, Schedule};
use jiff::Timestamp;
use loadgen::plan::Plan;
use loadgen::{Event, Options, Outcome};
use results::expect;
use results::metastability;
use results::record::{AuditRow, FaultRow, MetastabilityRow, ResourceRow, RunSummary};
use results::run_dir::{RunDir, read_intervals};
use results::scorecard;
use shop_contract::Role;
use shop_kit::config::Switches;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::ablate::ablate;
use crate::audit;
use crate::cli::RunOptions;
use crate::figures::{Figures, Page};
use crate::progress::Progress;
use crate::scenario::Scenario;
use crate::shop::Shop;
use crate::{docker, shrink, signals};
use recorder::Recorder;

/// Between the shop being ready and the load's zero: the workers start in it, so that the first arrival is not late.
const LEAD: Duration = Duration::from_millis(100);
/// After an interruption, how long faults may take to be ended. What is not by then ends with the shop.
const HURRY: Duration = Duration::from_millis(500);

/// Runs a scenario; gives the exit code. With `shrink`, a run that fails is repeated up to so many times with fewer
/// faults.
///
/// # Errors
/// Mistakes in the scenario, a folder that cannot be written, a port that is taken, a service that does not start.
pub(crate) fn run(path: &Path, options: &RunOptions, shrink: Option<u32>) -> Result<u8> {
    let without = switches(options.without.as_deref(), "--without")?;
    let scenario = Scenario::read(path, options.seed)?.without(&without);
    if options.docker.project().is_some() {
        docker::can_do(options, &scenario.faults)?;
    }
    let ablated = match &options.ablate {
        Some(patterns) => Some(switches(Some(patterns), "--ablate")?),
        None => None,
    };
    let runtime = runtime()?;
    let code = runtime.block_on(async {
        let stop = stop_on_signal();
        match ablated {
            Some(patterns) => ablate(&scenario, &patterns, options, &stop).await,
            None => once(&scenario, options, shrink, &stop).await,
        }
    });
    runtime.shutdown_timeout(Duration::from_millis(100));
    code
}

/// The patterns in a list such as `retries,breakers`.
fn switches(list: Option<&str>, flag: &str) -> Result<Vec<&'static str>> {
    let names = list.unwrap_or_default().split(',').map(str::trim);
    let known = |name: &str| Switches::NAMES.into_iter().find(|known| *known == name);
    names
        .filter(|name| !name.is_empty())
        .map(|name| {
            known(name).ok_or_else(|| {
                anyhow!(
                    "`{name}` in {flag}: {}",
                    syntax::did_you_mean(name, &Switches::NAMES)
                )
            })
        })
        .collect()
}

/// One run with its summary, and what comes of making it smaller where that is asked for.
async fn once(
    scenario: &Scenario,
    options: &RunOptions,
    shrink: Option<u32>,
    stop: &CancellationToken,
) -> Result<u8> {
    let done = conduct(scenario, &scenario.name, options, stop).await?;
    if let Err(e) = closing::show(&done.summary, &done.dir, options.json, options.quiet) {
        // Whoever closed the pipe has seen enough; the verdict stands.
        tracing::warn!(error = %e, "the summary could not be shown");
    }
    if let Some(runs) = shrink {
        // The first run stands, whatever becomes of those after it.
        if let Err(e) = shrink::shrink(scenario, options, &done, runs, stop).await {
            eprintln!("doorbuster: --shrink could not go on: {e:#}");
        }
    }
    Ok(expect::exit_code(
        done.summary.verdict,
        done.summary.interrupted,
    ))
}

/// The harness's own runtime. The load has threads of its own.
///
/// # Errors
/// The system gives no threads.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("no threads can be had from the system")
}

/// Sends what the harness itself has to say to a file among the logs. A folder that cannot be written has been
/// reported by then.
pub(crate) fn log_to(dir: &RunDir) {
    if let Ok(file) = std::fs::File::create(dir.logs().join("doorbuster.log")) {
        let filter = std::env::var("DOORBUSTER_LOG").unwrap_or_else(|_| "info".to_owned());
        let _ = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_env_filter(filter)
            .with_writer(file)
            .try_init();
    }
}

/// A run that is over and recorded.
pub(crate) struct Conducted {
    /// Its `run.json`.
    pub summary: RunSummary,
    /// Its folder.
    pub dir: RunDir,
}

/// Runs a scenario until its end, or until `stop`, and writes its record into a folder of that name. Nothing is shown
/// but progress.
///
/// # Errors
/// A folder that cannot be written, a port that is taken, a service that does not start.
pub(crate) async fn conduct(
    scenario: &Scenario,
    name: &str,
    options: &RunOptions,
    stop: &CancellationToken,
) -> Result<Conducted> {
    let started_at = Timestamp::now();
    let dir = RunDir::create(&options.out, name, started_at)?;
    log_to(&dir);
    let progress = Arc::new(Progress::new(options.quiet));
    dir.write_text("scenario.yaml", &scenario.text)?;
    let schedule =
        Schedule::new(scenario.faults.clone(), scenario.seed).until(scenario.load.total());
    let plan = Plan::new(
        scenario.load.clone(),
        scenario.seed,
        scenario.shop.customers,
    );
    let planned = closing::write_plan(&dir, &plan, &schedule.digest_lines())?;

    let figures = Figures::of(&scenario.load);
    let page = open_page(options, &figures, &progress)
        .await
        .inspect_err(|_| progress.done())?;
    let shop = Shop::open(
        scenario,
        options,
        &dir,
        &progress,
        Some(page.address()),
        stop,
    )
    .await
    .inspect_err(|_| progress.done())?;
    progress.say(&format!(
        "The shop is open on http://{}; {} shoppers will come in {}.",
        shop.gateway(),
        planned.sessions,
        syntax::units::show_duration(scenario.load.total())
    ));
    let guard = Guard::new(scenario.abort.clone());
    let ran = crowd(
        scenario,
        &dir,
        &shop,
        (&plan, &figures),
        (schedule, guard),
        &progress,
        stop,
    )
    .await;
    let Ran {
        outcome,
        aborted,
        faults,
        metastability,
        resources,
        audit,
        doubts,
    } = match ran {
        Ok(ran) => ran,
        Err(e) => {
            progress.done();
            shop.close(true).await;
            return Err(e);
        }
    };
    let mut summary = RunSummary {
        aborted,
        faults,
        metastability,
        crashes: shop.house().crashes(),
        audit,
        resources,
        ..closing::summary(scenario, started_at, planned, outcome)
    };
    closing::conclude(&scenario.expect, &mut summary, doubts);
    progress.now("closing the shop".to_owned());
    // The record first: whatever happens while the shop closes, it is there.
    dir.write_summary(&summary)?;
    let keep = options.keep_data || !summary.audit.violations.is_empty();
    shop.close(keep).await;
    progress.done();
    Ok(Conducted { summary, dir })
}

/// Opens the page of the harness's metrics: where it was told to, else where the shop's Prometheus finds it.
async fn open_page(options: &RunOptions, figures: &Figures, progress: &Progress) -> Result<Page> {
    let Some(project) = options.docker.project() else {
        return Page::open(options.metrics.unwrap_or(Page::ANYWHERE), figures).await;
    };
    let (page, note) = match options.metrics {
        Some(at) => (Page::open(at, figures).await?, None),
        None => {
            let place = docker::page::place(project).await?;
            let page = Page::on(place.listener, place.token, figures)?;
            (page, Some(place.note))
        }
    };
    let note = note.map(|note| format!("; {note}")).unwrap_or_default();
    progress.say(&format!(
        "The harness's metrics: http://{}/metrics{note}.",
        page.address()
    ));
    Ok(page)
}

/// What a crowd and its faults came to.
struct Ran {
    outcome: Outcome,
    /// Why the experiment was stopped, where it was.
    aborted: Option<String>,
    faults: Vec<FaultRow>,
    metastability: Option<MetastabilityRow>,
    resources: Vec<ResourceRow>,
    audit: AuditRow,
    /// Why the measurement cannot be trusted, in words.
    doubts: Vec<String>,
}

async fn crowd(
    scenario: &Scenario,
    dir: &RunDir,
    shop: &Shop,
    (plan, figures): (&Plan, &Figures),
    (schedule, mut guard): (Schedule, Guard),
    progress: &Arc<Progress>,
    stop: &CancellationToken,
) -> Result<Ran> {
    let house = shop.house();
    let recorder = Recorder::open(
        dir,
        Timestamp::now(),
        Arc::new({
            let house = house.clone();
            move || house.states()
        }),
        Arc::clone(progress),
        figures.clone(),
        plan.demand(),
    )?;
    let begins = Instant::now() + LEAD;
    let sampling = sampler::sample(house.clone(), recorder.clone(), begins.into());
    let sampling = AbortOnDropHandle::new(tokio::spawn(sampling));
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let admin = house.admin_client();
    let mut injector =
        Injector::new(house.clone(), house.clone(), admin, tell).with_watch(house.clone());
    if let Some(paths) = house.paths() {
        injector = injector.with_paths(paths);
    }
    // The experiment ends when it is told to, and when what shoppers meet is too much.
    let ends = stop.child_token();
    let mut injecting = tokio::spawn(injector.run(schedule, begins.into(), ends.clone()));
    let listening = tokio::spawn({
        let recorder = recorder.clone();
        async move {
            while let Some(event) = told.recv().await {
                recorder.fault(&event);
            }
        }
    });
    let options = Options {
        start: Some(begins),
        key_prefix: dir
            .path()
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default(),
        metrics: Some(figures.recorder()),
        ..Options::default()
    };
    let mut aborted = None;
    let observe = |event| {
        if let Event::Interval(second) = &event
            && aborted.is_none()
            && let Some(why) = guard.judge(second)
        {
            progress.say(&format!(
                "{:>6.1} s  stopping the experiment: {why}",
                second.t_s
            ));
            aborted = Some(why);
            ends.cancel();
        }
        recorder.load(event);
    };
    let target = shop.gateway().into();
    let mut outcome = loadgen::run(plan, target, options, ends.clone(), observe).await?;
    drop(sampling);
    // Ended before its time, but by the experiment's own rules.
    outcome.interrupted = stop.is_cancelled();
    let mut faults = tokio::select! {
        rows = &mut injecting => {
            listening.await?;
            rows?
        }
        // Ending a kill means waiting for a restart, which nobody needs any more.
        () = async { stop.cancelled().await; tokio::time::sleep(HURRY).await } => Vec::new(),
    };
    recorder.finish()?;
    let intervals = read_intervals(dir.path())?;
    for fault in &mut faults {
        // One that was refused has no time, and a window around nothing would count what others did.
        if fault.ended_s > fault.started_s && fault.target.starts_with(Role::Gateway.name()) {
            let gateways = u64::from(house.replicas(Role::Gateway.name()));
            if let Some(hits) = shoppers::hits(&intervals, fault, gateways) {
                fault.hits = hits;
            }
        }
        let evidence = scorecard::RunData {
            intervals: &intervals,
            ledger: &outcome.ledger,
            expectations: &scenario.expect,
        };
        evidence.complete(fault);
    }
    let metastability = metastability::check(&intervals, &faults);
    // Now, for telling everything that it holds costs a service memory that the load did not ask for.
    let resources = house.resources();
    progress.now("the crowd has left; auditing".to_owned());
    let doors = house.doors();
    let (audit, unaudited) = tokio::select! {
        biased;
        () = stop.cancelled() => (audit::not_made(&outcome.ledger), None),
        audited = audit::settle_and_check(&doors, &outcome.ledger, audit::SETTLE) => {
            (audited.row, audited.trouble.map(audit::Trouble::into_words))
        }
    };
    outcome.interrupted |= stop.is_cancelled();
    let doubts = outcome.doubts.drain(..).chain(unaudited).collect();
    Ok(Ran {
        outcome,
        aborted,
        faults,
        metastability,
        resources,
        audit,
        doubts,
    })
}

/// A token that the first SIGINT or SIGTERM cancels.
pub(crate) fn stop_on_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let cancel = stop.clone();
    tokio::spawn(async move {
        match signals::first().await {
            Ok(()) => cancel.cancel(),
            Err(e) => tracing::error!(error = %e, "signals cannot be received"),
        }
    });
    stop
}
