//! The experiment of a run, on a shop that is open: load, faults, then the audit.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use chaos::{AbortMonitor, Injector, Schedule};
use loadgen::{Event, Outcome};
use results::metastability;
use results::record::{AuditRow, FaultRow, Interval, LedgerEntry, MetastabilityRow, ResourceRow};
use results::run_dir::read_intervals;
use results::scorecard;
use shop_contract::Role;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::load::PlannedLoad;
use super::recorder::Recorder;
use super::{sampler, shoppers};
use crate::audit::{self, AuditClient, Incomplete};
use crate::scenario::Scenario;
use crate::shop::backend::ShopBackend;
use crate::terminal::progress::Progress;

/// The time between the shop being ready and the start of the load. The workers start in it, so that the first arrival is
/// not late.
const LEAD: Duration = Duration::from_millis(100);
/// After an interruption, the time limit for ending faults. The others end with the shop.
const INTERRUPTED_FAULTS: Duration = Duration::from_millis(500);

/// An experiment on an open shop.
pub(super) struct Experiment<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) load: &'a PlannedLoad,
    /// The shop's public address.
    pub(super) target: SocketAddr,
    pub(super) backend: Arc<dyn ShopBackend>,
    pub(super) progress: &'a Arc<Progress>,
    /// Cancelled by the user.
    pub(super) stop: &'a CancellationToken,
}

/// The observations of an experiment.
pub(super) struct Observations {
    pub(super) outcome: Outcome,
    /// Why the experiment was aborted, if it was.
    pub(super) aborted: Option<String>,
    pub(super) faults: Vec<FaultRow>,
    pub(super) metastability: Option<MetastabilityRow>,
    pub(super) resources: Vec<ResourceRow>,
    pub(super) audit: AuditRow,
    /// Reasons why the measurement is not valid, as text.
    pub(super) doubts: Vec<String>,
}

/// The tasks that inject and record faults.
struct FaultTasks {
    injecting: JoinHandle<Vec<FaultRow>>,
    recording: JoinHandle<()>,
}

impl Experiment<'_> {
    /// Runs all steps.
    ///
    /// # Errors
    /// The load cannot be sent, or the record cannot be written.
    pub(super) async fn run(self, schedule: Schedule, abort: AbortMonitor) -> Result<Observations> {
        let backend = Arc::clone(&self.backend);
        let states = Arc::new(move || backend.states());
        let recorder = self.load.recorder(states, self.progress)?;
        let start = Instant::now() + LEAD;
        let sampling = sampler::sample(self.backend.clone(), recorder.clone(), start.into());
        let sampling = AbortOnDropHandle::new(tokio::spawn(sampling));
        // Cancelled by the user, or by the abort monitor when an abort condition holds.
        let end = self.stop.child_token();
        let faults = self.start_faults(schedule, start, &recorder, &end);
        let (mut outcome, aborted) = self.send_load(start, abort, &recorder, &end).await?;
        drop(sampling);
        let faults = self.finish_faults(faults).await?;
        recorder.finish()?;
        let intervals = read_intervals(self.load.dir.path())?;
        let faults = self.score(faults, &intervals, &outcome.ledger);
        // Measured before the audit, which costs the services memory.
        let resources = self.backend.resources();
        let (audit, incomplete) = self.audit(&outcome.ledger).await;
        // An abort by the monitor is no interruption.
        outcome.interrupted = self.stop.is_cancelled();
        let doubts = outcome.doubts.drain(..).chain(incomplete).collect();
        Ok(Observations {
            outcome,
            aborted,
            metastability: metastability::check(&intervals, &faults),
            faults,
            resources,
            audit,
            doubts,
        })
    }

    /// Starts the injector and records its events.
    fn start_faults(
        &self,
        schedule: Schedule,
        start: Instant,
        recorder: &Recorder,
        end: &CancellationToken,
    ) -> FaultTasks {
        let (tx, mut rx) = tokio::sync::mpsc::unbounded_channel();
        let backend = &self.backend;
        let admin = backend.admin_client();
        let mut injector = Injector::new(backend.clone(), backend.clone(), admin, tx)
            .with_breakers(backend.clone());
        if let Some(paths) = backend.paths() {
            injector = injector.with_paths(paths);
        }
        let recorder = recorder.clone();
        FaultTasks {
            injecting: tokio::spawn(injector.run(schedule, start.into(), end.clone())),
            recording: tokio::spawn(async move {
                while let Some(event) = rx.recv().await {
                    recorder.fault(&event);
                }
            }),
        }
    }

    /// Sends the load. Cancels `end` when the abort monitor aborts, and gives the reason.
    async fn send_load(
        &self,
        start: Instant,
        mut abort: AbortMonitor,
        recorder: &Recorder,
        end: &CancellationToken,
    ) -> Result<(Outcome, Option<String>)> {
        let mut aborted = None;
        let observe = |event| {
            if let Event::Interval(second) = &event
                && aborted.is_none()
                && let Some(why) = abort.check(second)
            {
                self.progress.line(&format!(
                    "{:>6.1} s  stopping the experiment: {why}",
                    second.t_s
                ));
                aborted = Some(why);
                end.cancel();
            }
            recorder.load(event);
        };
        let target = self.target.into();
        let outcome = self
            .load
            .send(target, Some(start), end.clone(), observe)
            .await?;
        Ok((outcome, aborted))
    }

    /// Waits until all faults have ended. After an interruption, only for a short time.
    async fn finish_faults(&self, mut tasks: FaultTasks) -> Result<Vec<FaultRow>> {
        tokio::select! {
            rows = &mut tasks.injecting => {
                tasks.recording.await?;
                Ok(rows?)
            }
            // Ending a kill includes a restart, which is no longer needed.
            () = async { self.stop.cancelled().await; tokio::time::sleep(INTERRUPTED_FAULTS).await } => Ok(Vec::new()),
        }
    }

    /// Completes the rows of faults from the record: hits on gateways, detection, recovery and cost.
    fn score(
        &self,
        mut faults: Vec<FaultRow>,
        intervals: &[Interval],
        ledger: &[LedgerEntry],
    ) -> Vec<FaultRow> {
        for fault in &mut faults {
            // A refused fault has no window.
            if fault.ended_s > fault.started_s && fault.target.starts_with(Role::Gateway.name()) {
                let gateways = u64::from(self.backend.replicas(Role::Gateway.name()));
                if let Some(hits) = shoppers::hits(intervals, fault, gateways) {
                    fault.hits = hits;
                }
            }
            let evidence = scorecard::RunData {
                intervals,
                ledger,
                expectations: &self.scenario.expect,
            };
            evidence.complete(fault);
        }
        faults
    }

    /// Audits the shop, unless the user interrupts. Gives the reason if the audit is not complete.
    async fn audit(&self, ledger: &[LedgerEntry]) -> (AuditRow, Option<String>) {
        self.progress
            .activity("the load has ended; auditing".to_owned());
        let client = AuditClient::of(&*self.backend);
        tokio::select! {
            biased;
            () = self.stop.cancelled() => (audit::not_made(ledger), None),
            outcome = audit::settle_and_check(&client, ledger, audit::SETTLE) => {
                (outcome.row, outcome.incomplete.map(Incomplete::into_text))
            }
        }
    }
}
