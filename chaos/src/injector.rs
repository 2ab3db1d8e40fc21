//! Injects the faults of a schedule, and ends each of them.
//!
//! This file waits for due times and for the observations that faults wait for. `lifecycle` runs one fault from *asked*
//! to *ended*. `service`, `process` and `path` implement `Injection`, one for each sort of fault; a new sort is another
//! implementation and an arm in `Injector::injection`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use results::record::{FaultEvent, FaultRow};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::admin::AdminClient;
use crate::backend::{BreakerWatch, CallerHits, Paths, Processes};
use crate::fault::{Breaker, FaultKind};
use crate::schedule::{Observed, Schedule, ScheduledFault, Transition};
use clock::Clock;
use injection::Injection;
use lifecycle::Lifecycle;
use path::PathInjection;
use process::ProcessInjection;
use service::ServiceInjection;

mod clock;
mod injection;
mod lifecycle;
mod path;
mod process;
mod service;
mod status;

pub use status::{FaultStatus, FaultStatuses};

/// Between two checks of a fault in force. It limits how long a restarted replica lacks its fault, and the age of
/// [`FaultStatuses`].
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Between two queries for the breakers that faults wait for. A breaker stays open for a second at least.
const BREAKER_INTERVAL: Duration = Duration::from_millis(250);

/// Injects the faults of one run.
pub struct Injector {
    processes: Arc<dyn Processes>,
    callers: Arc<dyn CallerHits>,
    admin: AdminClient,
    events: mpsc::UnboundedSender<FaultEvent>,
    statuses: Arc<watch::Sender<FaultStatuses>>,
    check_interval: Duration,
    breakers: Option<Arc<dyn BreakerWatch>>,
    paths: Option<Arc<dyn Paths>>,
}

impl Injector {
    /// An injector for faults of `processes`, and of the services behind `admin`. `callers` count the hits of process
    /// faults. Each event goes to `events`, also when its receiver is closed.
    pub fn new(
        processes: Arc<dyn Processes>,
        callers: Arc<dyn CallerHits>,
        admin: AdminClient,
        events: mpsc::UnboundedSender<FaultEvent>,
    ) -> Self {
        Self {
            processes,
            callers,
            admin,
            events,
            statuses: Arc::new(watch::Sender::new(FaultStatuses::new())),
            check_interval: CHECK_INTERVAL,
            breakers: None,
            paths: None,
        }
    }

    /// Sets where the state of breakers comes from. Without it, faults that wait for a breaker are skipped.
    #[must_use]
    pub fn with_breakers(mut self, breakers: Arc<dyn BreakerWatch>) -> Self {
        self.breakers = Some(breakers);
        self
    }

    /// Sets the proxies between services. Without them, path faults are refused.
    #[must_use]
    pub fn with_paths(mut self, paths: Arc<dyn Paths>) -> Self {
        self.paths = Some(paths);
        self
    }

    /// Sets the time between two checks of a fault in force; a second by default.
    #[must_use]
    pub fn with_check_interval(mut self, interval: Duration) -> Self {
        self.check_interval = interval;
        self
    }

    /// The status of each fault. Empty until [`Injector::run`] starts.
    pub fn statuses(&self) -> watch::Receiver<FaultStatuses> {
        self.statuses.subscribe()
    }

    /// Runs the schedule, whose times count from `started`, until every fault has ended.
    ///
    /// When `shutdown` is cancelled, faults in force are ended at once and later ones are left out. The same happens
    /// when this future is dropped, while the runtime lives; without a runtime, service faults end by their time to
    /// live.
    ///
    /// Returns one row for each fault that began, was refused or was skipped, in the order of time. A refused or
    /// skipped fault has no hits and no length. Faults that still wait at `shutdown` have no row. `detected_s` and
    /// `recovered_s` are for the caller to fill in.
    pub async fn run(
        self,
        mut schedule: Schedule,
        started: Instant,
        shutdown: CancellationToken,
    ) -> Vec<FaultRow> {
        let clock = Clock { started };
        self.statuses.send_replace(status::initial(&schedule));
        let all = shutdown.child_token();
        let _ends_when_dropped = all.clone().drop_guard();
        let (observed_tx, mut observed_rx) = mpsc::unbounded_channel();
        let _watching = self.watch_breakers(&schedule, observed_tx.clone());
        let mut running = RunningFaults::default();
        while schedule.next_at().is_some() || schedule.is_waiting() {
            let next = schedule.next_at().unwrap_or(Duration::MAX);
            // Faults wait until the load ends, at the latest.
            let next = if schedule.is_waiting() {
                next.min(schedule.end())
            } else {
                next
            };
            tokio::select! {
                biased;
                () = all.cancelled() => break,
                Some(seen) = observed_rx.recv() => schedule.observe(&seen, clock.elapsed()),
                () = sleep_until_elapsed(started, next) => {}
            }
            if clock.elapsed() >= schedule.end() {
                schedule.skip_waiting(clock.elapsed());
            }
            for skipped in schedule.skipped() {
                let lifecycle = self.lifecycle(skipped.scheduled, clock);
                running.add_row(lifecycle.skip(skipped.reason));
            }
            for transition in schedule.due(clock.elapsed()) {
                match transition {
                    Transition::Begin(scheduled) => {
                        let end = all.child_token();
                        let running_fault =
                            self.run_fault(&scheduled, clock, &end, observed_tx.clone());
                        running.spawn(&scheduled, end, running_fault);
                    }
                    Transition::End(scheduled) => running.end(&scheduled),
                }
            }
        }
        running.rows().await
    }

    /// Runs one fault until `end` is cancelled, and sends its end to `observed`.
    fn run_fault(
        &self,
        scheduled: &Arc<ScheduledFault>,
        clock: Clock,
        end: &CancellationToken,
        observed: mpsc::UnboundedSender<Observed>,
    ) -> impl Future<Output = FaultRow> + Send + 'static {
        let injection = self.injection(scheduled, clock, end);
        let lifecycle = self.lifecycle(scheduled.clone(), clock);
        let end = end.clone();
        async move {
            let (row, seen) = lifecycle.run(injection, end).await;
            // The receiver is closed when no fault waits any more.
            let _ = observed.send(seen);
            row
        }
    }

    fn lifecycle(&self, scheduled: Arc<ScheduledFault>, clock: Clock) -> Lifecycle {
        Lifecycle {
            scheduled,
            clock,
            events: self.events.clone(),
            statuses: self.statuses.clone(),
            check_interval: self.check_interval,
        }
    }

    /// Queries the breakers that faults wait for, until each was open or the returned guard is dropped.
    fn watch_breakers(
        &self,
        schedule: &Schedule,
        observed: mpsc::UnboundedSender<Observed>,
    ) -> DropGuard {
        let stop = CancellationToken::new();
        if let Some(source) = self.breakers.clone() {
            let watching = watch_all(source, schedule.breakers(), observed);
            let stopped = stop.clone();
            tokio::spawn(async move { stopped.run_until_cancelled(watching).await });
        }
        stop.drop_guard()
    }

    fn injection(
        &self,
        scheduled: &Arc<ScheduledFault>,
        clock: Clock,
        end: &CancellationToken,
    ) -> Box<dyn Injection> {
        match &scheduled.fault.kind {
            FaultKind::Service(_) => Box::new(ServiceInjection::new(
                scheduled.clone(),
                self.processes.clone(),
                self.admin.clone(),
                clock,
                end.clone(),
            )),
            FaultKind::Path(fault) => Box::new(PathInjection::new(
                scheduled.clone(),
                *fault,
                self.paths.clone(),
                clock,
            )),
            FaultKind::Process(fault) => Box::new(ProcessInjection::new(
                scheduled.clone(),
                *fault,
                self.processes.clone(),
                self.callers.clone(),
                clock,
                end.clone(),
            )),
        }
    }
}

/// Sleeps until `elapsed` after `started`; forever when that instant does not exist.
async fn sleep_until_elapsed(started: Instant, elapsed: Duration) {
    match started.checked_add(elapsed) {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

async fn watch_all(
    source: Arc<dyn BreakerWatch>,
    mut breakers: BTreeSet<Breaker>,
    observed: mpsc::UnboundedSender<Observed>,
) {
    while !breakers.is_empty() {
        for breaker in breakers.clone() {
            if source.is_open(&breaker).await == Some(true) {
                breakers.remove(&breaker);
                let _ = observed.send(Observed::BreakerOpened(breaker));
            }
        }
        sleep(BREAKER_INTERVAL).await;
    }
}

/// The tasks of faults that have begun, and the rows of skipped ones.
#[derive(Default)]
struct RunningFaults {
    tasks: Vec<RunningFault>,
    rows: Vec<FaultRow>,
}

struct RunningFault {
    scheduled: Arc<ScheduledFault>,
    end: CancellationToken,
    task: JoinHandle<FaultRow>,
}

impl RunningFaults {
    fn spawn(
        &mut self,
        scheduled: &Arc<ScheduledFault>,
        end: CancellationToken,
        row: impl Future<Output = FaultRow> + Send + 'static,
    ) {
        self.tasks.push(RunningFault {
            scheduled: scheduled.clone(),
            end,
            task: tokio::spawn(row),
        });
    }

    fn add_row(&mut self, row: FaultRow) {
        self.rows.push(row);
    }

    fn end(&self, scheduled: &Arc<ScheduledFault>) {
        for running in &self.tasks {
            if Arc::ptr_eq(&running.scheduled, scheduled) {
                running.end.cancel();
            }
        }
    }

    /// Waits for the end of all faults. Each was due, or its token was cancelled by the shutdown.
    async fn rows(self) -> Vec<FaultRow> {
        let mut rows = Vec::with_capacity(self.tasks.len());
        for running in self.tasks {
            match running.task.await {
                Ok(row) => rows.push(row),
                // A `Processes` or `CallerHits` has panicked. The record must keep the fault; a row without hits makes
                // the experiment invalid.
                Err(error) => {
                    tracing::error!(fault = running.scheduled.fault.name, %error, "injection failed");
                    rows.push(lifecycle::empty_row(&running.scheduled));
                }
            }
        }
        rows.extend(self.rows);
        rows
    }
}
