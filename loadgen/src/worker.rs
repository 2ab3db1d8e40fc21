//! One worker: a thread with a runtime of its own, and its share of the sessions.
//!
//! While the load runs, workers share nothing but the recorder of metrics, where there is one: its counters are atomic, and
//! a histogram is locked for as long as it takes to add to it. So nobody waits for another's work.

use std::cell::{Cell, RefCell};
use std::io;
use std::mem;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::call::Failure;
use crate::collector::Handover;
use crate::metrics::{LoadMetrics, SharedRecorder};
use crate::plan::Plan;
use crate::session;
use crate::step::Step;
use crate::tally::{Tally, Timing};
use crate::target::Target;
use results::record::LedgerEntry;

/// What a worker says.
pub(crate) enum Message {
    Second(Box<Handover>),
    Ledger(LedgerEntry),
}

/// A worker's orders.
#[derive(Clone)]
pub(crate) struct Orders {
    pub(crate) worker: usize,
    pub(crate) workers: usize,
    pub(crate) plan: Plan,
    pub(crate) target: Target,
    pub(crate) start: Instant,
    pub(crate) key_prefix: String,
    pub(crate) metrics: Option<SharedRecorder>,
    /// The end before its time: by a signal, or because nobody waits for the outcome any more.
    pub(crate) halt: CancellationToken,
    pub(crate) say: UnboundedSender<Message>,
}

/// What the sessions of a worker share.
pub(crate) struct Shared {
    pub(crate) orders: Orders,
    pub(crate) timer: crate::timer::Timer,
    tally: RefCell<Tally>,
    metrics: RefCell<Option<LoadMetrics>>,
    /// When no more steps are begun.
    pub(crate) end: Duration,
    /// When nobody waits any more: halted, or every answer's time is up.
    pub(crate) stop: CancellationToken,
    active: Cell<u64>,
    /// The second being counted, from 1.
    second: Cell<u64>,
}

impl Shared {
    pub(crate) fn now(&self) -> Duration {
        self.orders.start.elapsed()
    }

    pub(crate) fn ledger(&self, entry: LedgerEntry) {
        // Nobody listens when the run was given up; there is then nobody to tell that either.
        let _ = self.orders.say.send(Message::Ledger(entry));
    }

    /// Waits for an instant of the load; false when the load was stopped before.
    pub(crate) async fn until(&self, at: Duration) -> bool {
        let waiting = self.timer.until(self.orders.start + at);
        self.stop.run_until_cancelled(waiting).await.is_some()
    }

    /// A step's instant has come and it is being sent.
    pub(crate) fn send(&self, lateness: Duration) {
        self.tally.borrow_mut().send(lateness);
        self.tell(|metrics| metrics.send(lateness));
    }

    /// A step of a phase is over.
    pub(crate) fn record(
        &self,
        phase: usize,
        step: Step,
        timing: Timing,
        result: Result<(), Failure>,
    ) {
        self.tally.borrow_mut().record(phase, step, timing, result);
        self.tell(|metrics| metrics.record(step, timing, result));
    }

    fn drop_one(&self) {
        self.tally.borrow_mut().drop_one();
        self.tell(|metrics| metrics.drop_one());
    }

    fn enter(&self) {
        self.active.set(self.active.get() + 1);
        self.tell(|metrics| metrics.enter());
    }

    fn leave(&self) {
        self.active.set(self.active.get() - 1);
        self.tell(|metrics| metrics.leave());
    }

    fn tell(&self, what: impl FnOnce(&mut LoadMetrics)) {
        if let Some(metrics) = self.metrics.borrow_mut().as_mut() {
            what(metrics);
        }
    }

    fn hand_over(&self, last: bool) {
        let mut tally = mem::take(&mut *self.tally.borrow_mut());
        tally.active = self.active.get();
        let second = self.second.get();
        self.second.set(second + 1);
        let handover = Handover {
            worker: self.orders.worker,
            second,
            at: self.now(),
            tally,
            last,
        };
        let _ = self.orders.say.send(Message::Second(Box::new(handover)));
    }
}

/// Runs a worker on this thread until its share of the load is over.
///
/// # Errors
/// When the runtime or its timer cannot be had.
pub(crate) fn work(orders: Orders) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Look at sockets and timer more often than by default: a burst of answers must not make a send late.
        .event_interval(13)
        .build()?;
    LocalSet::new().block_on(&runtime, drive(orders))
}

async fn drive(orders: Orders) -> io::Result<()> {
    let load = orders.plan.load();
    let end = load.total();
    let timeout = load.timeout;
    let shared = Rc::new(Shared {
        timer: crate::timer::Timer::start()?,
        tally: RefCell::default(),
        metrics: RefCell::new(orders.metrics.clone().map(LoadMetrics::declare)),
        end,
        stop: orders.halt.child_token(),
        active: Cell::new(0),
        second: Cell::new(1),
        orders,
    });
    let heartbeat = tokio::task::spawn_local(heartbeat(shared.clone()));
    let sessions = TaskTracker::new();
    admit(&shared, &sessions).await;
    sessions.close();
    // What is under way may take as long as an answer may.
    let last_call = async {
        shared
            .timer
            .until(shared.orders.start + end + timeout)
            .await;
        shared.stop.cancel();
    };
    tokio::select! {
        biased;
        () = sessions.wait() => {}
        () = last_call => sessions.wait().await,
        () = shared.stop.cancelled() => sessions.wait().await,
    }
    // The load lasts until its end, also where nobody is left to serve: the phases say so.
    shared.until(end).await;
    heartbeat.abort();
    shared.hand_over(true);
    Ok(())
}

/// Lets the shoppers in, each at its instant.
async fn admit(shared: &Rc<Shared>, sessions: &TaskTracker) {
    let orders = &shared.orders;
    let room = orders
        .plan
        .load()
        .max_sessions
        .div_ceil(orders.workers as u64);
    for session in orders.plan.share(orders.worker, orders.workers) {
        // An arrival in the very last microsecond may be rounded to the end, where nothing is begun any more.
        if session.at >= shared.end || !shared.until(session.at).await {
            return;
        }
        if shared.active.get() >= room {
            shared.drop_one();
            continue;
        }
        shared.enter();
        let shared = shared.clone();
        sessions.spawn_local(async move {
            session::run(&shared, session).await;
            shared.leave();
        });
    }
}

/// Hands over every second, and notes how late it came to that: it is due whether or not anything is sent.
async fn heartbeat(shared: Rc<Shared>) {
    loop {
        let due = Duration::from_secs(shared.second.get());
        shared.timer.until(shared.orders.start + due).await;
        let late = shared.now().saturating_sub(due);
        {
            let mut tally = shared.tally.borrow_mut();
            tally.stall = tally.stall.max(late);
        }
        shared.hand_over(false);
    }
}
