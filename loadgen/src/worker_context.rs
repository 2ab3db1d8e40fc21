//! What a worker and its sessions share: configuration, timer, statistics and the channel to the collector.

use std::cell::{Cell, RefCell};
use std::mem;
use std::time::{Duration, Instant};

use results::record::LedgerEntry;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use crate::metrics::{LoadMetrics, SharedRecorder};
use crate::plan::Plan;
use crate::request::Failure;
use crate::stats::{LoadStats, Timing, WorkerReport};
use crate::step::Step;
use crate::target::Target;
use crate::timer::Timer;

/// What a worker sends to the engine.
pub(crate) enum Message {
    Report(Box<WorkerReport>),
    Ledger(LedgerEntry),
}

/// The configuration of one worker.
#[derive(Clone)]
pub(crate) struct WorkerConfig {
    /// Which of the workers it is, from 0.
    pub(crate) worker: usize,
    /// How many workers there are.
    pub(crate) workers: usize,
    pub(crate) plan: Plan,
    pub(crate) target: Target,
    /// Start of the load.
    pub(crate) start: Instant,
    pub(crate) key_prefix: String,
    pub(crate) metrics: Option<SharedRecorder>,
    /// Cancelled to end the load early: by a signal, or when the caller dropped the run.
    pub(crate) halt: CancellationToken,
    pub(crate) tx: UnboundedSender<Message>,
}

/// The state that a worker shares with its sessions. They all run on one thread.
pub(crate) struct WorkerContext {
    pub(crate) config: WorkerConfig,
    pub(crate) timer: Timer,
    /// End of the load; later no step is begun.
    pub(crate) end: Duration,
    /// Cancelled when sessions must stop: the load was halted, or the time for the last replies is up.
    pub(crate) stop: CancellationToken,
    stats: RefCell<LoadStats>,
    metrics: RefCell<Option<LoadMetrics>>,
    active_sessions: Cell<u64>,
    /// The second being counted, from 1.
    second: Cell<u64>,
}

impl WorkerContext {
    pub(crate) fn new(config: WorkerConfig, timer: Timer) -> Self {
        Self {
            timer,
            end: config.plan.load().total(),
            stop: config.halt.child_token(),
            stats: RefCell::default(),
            metrics: RefCell::new(config.metrics.clone().map(LoadMetrics::declare)),
            active_sessions: Cell::new(0),
            second: Cell::new(1),
            config,
        }
    }

    /// The time since the start of the load.
    pub(crate) fn now(&self) -> Duration {
        self.config.start.elapsed()
    }

    /// Waits until an instant of the load. Returns false if the sessions had to stop before.
    pub(crate) async fn until(&self, at: Duration) -> bool {
        let waiting = self.timer.until(self.config.start + at);
        self.stop.run_until_cancelled(waiting).await.is_some()
    }

    /// Sends the outcome of an order to the engine.
    pub(crate) fn report_order(&self, entry: LedgerEntry) {
        // The receiver is gone only when the caller dropped the run.
        let _ = self.config.tx.send(Message::Ledger(entry));
    }

    /// Counts a step that is being sent.
    pub(crate) fn sent(&self, lateness: Duration) {
        self.stats.borrow_mut().sent(lateness);
        self.with_metrics(|metrics| metrics.sent(lateness));
    }

    /// Counts a step that could not be sent because all sessions were in use.
    pub(crate) fn dropped(&self) {
        self.stats.borrow_mut().dropped();
        self.with_metrics(|metrics| metrics.dropped());
    }

    /// Counts a completed step of a phase.
    pub(crate) fn record(
        &self,
        phase: usize,
        step: Step,
        timing: Timing,
        result: Result<(), Failure>,
    ) {
        self.stats.borrow_mut().record(phase, step, timing, result);
        self.with_metrics(|metrics| metrics.record(step, timing, result));
    }

    /// Sessions in progress on this worker.
    pub(crate) fn active_sessions(&self) -> u64 {
        self.active_sessions.get()
    }

    pub(crate) fn session_started(&self) {
        self.active_sessions.set(self.active_sessions.get() + 1);
        self.with_metrics(|metrics| metrics.session_started());
    }

    pub(crate) fn session_ended(&self) {
        self.active_sessions.set(self.active_sessions.get() - 1);
        self.with_metrics(|metrics| metrics.session_ended());
    }

    /// When the second being counted ends.
    pub(crate) fn second_ends(&self) -> Duration {
        Duration::from_secs(self.second.get())
    }

    /// Notes how late the worker woke up.
    pub(crate) fn stalled(&self, late: Duration) {
        let mut stats = self.stats.borrow_mut();
        stats.stall = stats.stall.max(late);
    }

    /// Sends the statistics since the last report, and begins the next second.
    pub(crate) fn report_second(&self, last: bool) {
        let mut stats = mem::take(&mut *self.stats.borrow_mut());
        stats.active_sessions = self.active_sessions.get();
        let second = self.second.get();
        self.second.set(second + 1);
        let report = WorkerReport {
            worker: self.config.worker,
            second,
            at: self.now(),
            stats,
            last,
        };
        let _ = self.config.tx.send(Message::Report(Box::new(report)));
    }

    fn with_metrics(&self, update: impl FnOnce(&mut LoadMetrics)) {
        if let Some(metrics) = self.metrics.borrow_mut().as_mut() {
            update(metrics);
        }
    }
}
