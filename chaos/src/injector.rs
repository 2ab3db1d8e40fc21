//! Brings a schedule's faults about, and ends every one of them.
//!
//! This file waits for due times, and for what faults wait for, and keeps the board; `course` takes one fault from *asked* to *ended*;
//! `in_service`, `process` and `on_path` know how a fault of their sort is begun, looked after and ended. A new sort is
//! a further `Injection` and a line in `Injector::injection`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use results::record::{FaultEvent, FaultRow};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::admin::AdminClient;
use crate::fault::{Breaker, FaultKind};
use crate::processes::{CallerHits, Paths, Processes};
use crate::schedule::{Action, Observed, Planned, Schedule};
use crate::watch::Watch;
use course::Course;
use in_service::InService;
use injection::Injection;
use on_path::OnPath;
use process::OfProcess;

mod course;
mod in_service;
mod injection;
mod on_path;
mod process;

/// How often a fault in force is looked after. A replica that lost its fault by a restart is without it for at most
/// this long, and figures on the board are at most this old.
const POLL: Duration = Duration::from_secs(1);
/// Between two looks at breakers that faults wait for. A breaker stays open for a second at least.
const WATCH_EVERY: Duration = Duration::from_millis(250);

/// Every fault of the run by name, those to come included: the console's list, and the label sets of
/// `chaos_fault_active` and `chaos_fault_hits_total`.
pub type Board = BTreeMap<String, FaultNow>;

/// A fault as it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultNow {
    /// `latency`, `kill`, …
    pub kind: &'static str,
    /// `bank`, `order/1`, …
    pub target: String,
    /// Whether it is in force.
    pub active: bool,
    /// Requests that it touched, or connections where it is one of a path, as far as is known by now.
    pub hits: u64,
}

/// Injects the faults of one run.
pub struct Injector {
    processes: Arc<dyn Processes>,
    hits: Arc<dyn CallerHits>,
    admin: AdminClient,
    events: mpsc::UnboundedSender<FaultEvent>,
    board: Arc<watch::Sender<Board>>,
    poll: Duration,
    watch: Option<Arc<dyn Watch>>,
    paths: Option<Arc<dyn Paths>>,
}

/// The run's time.
#[derive(Debug, Clone, Copy)]
struct Clock {
    started: Instant,
}

impl Clock {
    fn elapsed(self) -> Duration {
        Instant::now().saturating_duration_since(self.started)
    }
}

impl Injector {
    /// An injector that works on `processes`, asks `hits` about dead ones, speaks to admin endpoints through `admin`
    /// and sends each event to `events`, whether or not anyone listens.
    pub fn new(
        processes: Arc<dyn Processes>,
        hits: Arc<dyn CallerHits>,
        admin: AdminClient,
        events: mpsc::UnboundedSender<FaultEvent>,
    ) -> Self {
        Self {
            processes,
            hits,
            admin,
            events,
            board: Arc::new(watch::Sender::new(Board::new())),
            poll: POLL,
            watch: None,
            paths: None,
        }
    }

    /// Sees breakers through `watch`. Without it, a fault that waits for one does not come.
    #[must_use]
    pub fn with_watch(mut self, watch: Arc<dyn Watch>) -> Self {
        self.watch = Some(watch);
        self
    }

    /// Reaches paths through `paths`. Without it, faults of paths are refused.
    #[must_use]
    pub fn with_paths(mut self, paths: Arc<dyn Paths>) -> Self {
        self.paths = Some(paths);
        self
    }

    /// Looks after faults in force every `poll` instead of every second.
    #[must_use]
    pub fn with_poll(mut self, poll: Duration) -> Self {
        self.poll = poll;
        self
    }

    /// The board. It is empty until [`Injector::run`] fills it.
    pub fn board(&self) -> watch::Receiver<Board> {
        self.board.subscribe()
    }

    /// Runs the schedule, whose times count from `started`, until every fault has ended.
    ///
    /// When `shutdown` comes, what is in force is ended at once and what is to come does not come. The same happens
    /// when this future is dropped, as long as the runtime lives on; beyond that, faults in a service end by their
    /// time to live.
    ///
    /// The rows are in the order of time, one per fault that was asked for. A refused one has no hits and ends
    /// when it starts; so does one that waited in vain, and of these no row is left when the run was told to stop. What
    /// the run alone can know, `detected_s` and `recovered_s`, is left out.
    pub async fn run(
        self,
        mut schedule: Schedule,
        started: Instant,
        shutdown: CancellationToken,
    ) -> Vec<FaultRow> {
        let clock = Clock { started };
        self.board.send_replace(blank(&schedule));
        let all = shutdown.child_token();
        let _ends_when_dropped = all.clone().drop_guard();
        let (say, mut heard) = mpsc::unbounded_channel();
        let _watching = self.watch_breakers(&schedule, say.clone());
        let mut courses = Courses::default();
        while schedule.next_at().is_some() || schedule.is_waiting() {
            // Beyond its end nothing is waited for any more.
            let next = schedule.next_at().unwrap_or(Duration::MAX);
            let next = if schedule.is_waiting() {
                next.min(schedule.end())
            } else {
                next
            };
            tokio::select! {
                biased;
                () = all.cancelled() => break,
                Some(seen) = heard.recv() => schedule.observe(&seen, clock.elapsed()),
                () = until(started, next) => {}
            }
            if clock.elapsed() >= schedule.end() {
                schedule.give_up(clock.elapsed());
            }
            for missed in schedule.missed() {
                courses.missed(self.course(missed.planned, clock).miss(missed.why));
            }
            for action in schedule.due(clock.elapsed()) {
                match action {
                    Action::Inject(planned) => {
                        let over = all.child_token();
                        courses.begin(
                            &planned,
                            over.clone(),
                            self.follow(planned.clone(), clock, over, say.clone()),
                        );
                    }
                    Action::End(planned) => courses.end(&planned),
                }
            }
        }
        courses.rows().await
    }

    /// The whole course of one fault, until `over` is cancelled. What others may wait for goes to `say`.
    fn follow(
        &self,
        planned: Arc<Planned>,
        clock: Clock,
        over: CancellationToken,
        say: mpsc::UnboundedSender<Observed>,
    ) -> impl Future<Output = FaultRow> + Send + 'static {
        let injection = self.injection(&planned, clock, &over);
        let course = self.course(planned, clock);
        async move {
            let (row, seen) = course.run(injection, over).await;
            // When nobody waits for it, nobody listens.
            let _ = say.send(seen);
            row
        }
    }

    fn course(&self, planned: Arc<Planned>, clock: Clock) -> Course {
        Course {
            planned,
            clock,
            events: self.events.clone(),
            board: self.board.clone(),
            poll: self.poll,
        }
    }

    /// Looks at the breakers that faults wait for until each was seen open, and no longer than the guard lives.
    fn watch_breakers(
        &self,
        schedule: &Schedule,
        say: mpsc::UnboundedSender<Observed>,
    ) -> DropGuard {
        let stop = CancellationToken::new();
        if let Some(eyes) = self.watch.clone() {
            let watching = watch_all(eyes, schedule.breakers(), say);
            let stopped = stop.clone();
            tokio::spawn(async move { stopped.run_until_cancelled(watching).await });
        }
        stop.drop_guard()
    }

    /// Who knows how to inject this kind of fault.
    fn injection(
        &self,
        planned: &Arc<Planned>,
        clock: Clock,
        over: &CancellationToken,
    ) -> Box<dyn Injection> {
        match &planned.fault.kind {
            FaultKind::InService(_) => Box::new(InService::new(
                planned.clone(),
                self.processes.clone(),
                self.admin.clone(),
                clock,
                over.clone(),
            )),
            FaultKind::Path(fault) => Box::new(OnPath::new(
                planned.clone(),
                *fault,
                self.paths.clone(),
                clock,
            )),
            FaultKind::Process(fault) => Box::new(OfProcess::new(
                planned.clone(),
                *fault,
                self.processes.clone(),
                self.hits.clone(),
                clock,
                over.clone(),
            )),
        }
    }
}

/// Waits for an instant of the run; for ever, for one that no clock will show.
async fn until(started: Instant, at: Duration) {
    match started.checked_add(at) {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

async fn watch_all(
    eyes: Arc<dyn Watch>,
    mut breakers: BTreeSet<Breaker>,
    say: mpsc::UnboundedSender<Observed>,
) {
    while !breakers.is_empty() {
        for breaker in breakers.clone() {
            if eyes.is_open(&breaker).await == Some(true) {
                breakers.remove(&breaker);
                let _ = say.send(Observed::BreakerOpened(breaker));
            }
        }
        sleep(WATCH_EVERY).await;
    }
}

/// The faults that have begun, and those that did not come.
#[derive(Default)]
struct Courses {
    begun: Vec<Begun>,
    missed: Vec<FaultRow>,
}

struct Begun {
    planned: Arc<Planned>,
    over: CancellationToken,
    task: JoinHandle<FaultRow>,
}

impl Courses {
    fn begin(
        &mut self,
        planned: &Arc<Planned>,
        over: CancellationToken,
        course: impl Future<Output = FaultRow> + Send + 'static,
    ) {
        self.begun.push(Begun {
            planned: planned.clone(),
            over,
            task: tokio::spawn(course),
        });
    }

    fn missed(&mut self, row: FaultRow) {
        self.missed.push(row);
    }

    fn end(&self, planned: &Arc<Planned>) {
        for begun in &self.begun {
            if Arc::ptr_eq(&begun.planned, planned) {
                begun.over.cancel();
            }
        }
    }

    /// Waits for the end of all. On shutdown their tokens are cancelled already; otherwise every `End` was due.
    async fn rows(self) -> Vec<FaultRow> {
        let mut rows = Vec::with_capacity(self.begun.len());
        for begun in self.begun {
            match begun.task.await {
                Ok(row) => rows.push(row),
                // A panic in a `Processes` or `CallerHits`. The fault must not vanish from the record: a row
                // without hits voids the experiment.
                Err(error) => {
                    tracing::error!(fault = begun.planned.fault.name, %error, "injection failed");
                    rows.push(course::empty_row(&begun.planned));
                }
            }
        }
        rows.extend(self.missed);
        rows
    }
}

/// A board on which nothing has happened yet.
fn blank(schedule: &Schedule) -> Board {
    schedule
        .faults()
        .iter()
        .map(|fault| {
            let now = FaultNow {
                kind: fault.kind.name(),
                target: fault.target.to_string(),
                active: false,
                hits: 0,
            };
            (fault.name.clone(), now)
        })
        .collect()
}
