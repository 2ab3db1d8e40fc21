//! Faults held at their target, each with a time to live.
//!
//! Whoever asked for a fault may die; the fault ends all the same, because its end is decided here, against this
//! process's clock: by a timer of its own, and at every look besides. [`Faults`] keeps the book: what is in force, since
//! when, with how many hits. What is done is elsewhere:
//!
//! * requests, served or made: which ones and how, is decided in `touch` by pure code over a passed-in time and seeded
//!   draws, and what several do together in `plan`; the server stack and the client's attempts then do it.
//! * database and process: a [`Doer`] that registered for it.

mod body;
mod check;
mod doer;
mod inbound;
mod only;
mod plan;
mod process;
mod touch;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use metrics::{counter, gauge};
use shop_contract::Role;
use shop_contract::faults::{FaultOrder, FaultState, FaultStates, Touches};
use tokio::task::AbortHandle;

use crate::config::ServiceConfig;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::names;
pub use doer::{Doer, Effect, Hits};
pub(crate) use inbound::suffer;
pub(crate) use only::Asked;
pub(crate) use plan::{Plan, Stop};
pub(crate) use process::OfProcess;

use touch::{RequestFault, Touch};

/// How many ended faults are remembered, so that an injector that asks late still learns the hits.
const REMEMBERED: usize = 100;

/// Why a fault was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultRefused {
    /// A name that is in force already.
    #[error("a fault named `{0}` is in force already; end it first or choose another name")]
    NameTaken(String),
    /// What cannot be, or cannot be here.
    #[error("{0}")]
    Invalid(String),
}

/// The faults of one service. Cloning shares them.
#[derive(Clone)]
pub struct Faults(Arc<Inner>);

struct Inner {
    target: String,
    role: Role,
    peers: Vec<Role>,
    metrics: Metrics,
    held: RwLock<Held>,
    /// How many of those in force a served request has to do with, so that without any it takes no lock.
    about_requests: AtomicUsize,
    /// The same for calls made.
    about_calls: AtomicUsize,
}

#[derive(Default)]
struct Held {
    doers: Vec<(Touches, Arc<dyn Doer>)>,
    active: Vec<Active>,
    ended: Vec<Ended>,
}

/// A fault in force.
struct Active {
    order: FaultOrder,
    ends: Instant,
    hits: Hits,
    timer: AbortHandle,
    does: Doing,
}

/// What a fault in force consists of.
enum Doing {
    /// Asked at every request.
    Requests(Arc<RequestFault>),
    /// Done by a doer until this is dropped. The lock, which nobody takes, lets threads share what is merely `Send`.
    Effect(#[allow(dead_code, reason = "held for its drop")] Mutex<Effect>),
}

/// A fault that is over. What it touched may still be told of, such as an answer whose body came after its end.
struct Ended {
    state: FaultState,
    hits: Hits,
}

impl Active {
    fn state(&self, now: Instant) -> FaultState {
        FaultState {
            name: self.order.name.clone(),
            kind: self.order.effect.kind().to_owned(),
            hits: self.hits.count(),
            remaining_ms: self.ends.saturating_duration_since(now).as_millis() as u64,
        }
    }

    fn is_about_requests(&self) -> bool {
        match self.order.effect.touches() {
            Touches::Requests => self.order.only.calling.is_none(),
            Touches::Process => true,
            Touches::Database => false,
        }
    }

    fn is_about_calls(&self) -> bool {
        self.order.only.calling.is_some()
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.timer.abort();
        if let Doing::Requests(fault) = &self.does {
            fault.end();
        }
    }
}

impl Faults {
    /// None in force, at the service that is told this.
    pub fn new(config: &ServiceConfig, metrics: Metrics) -> Self {
        let peers = config.peers.iter();
        Self(Arc::new(Inner {
            target: config.target(),
            role: config.role,
            peers: peers
                .filter(|(_, addresses)| !addresses.is_empty())
                .map(|(&role, _)| role)
                .collect(),
            metrics,
            held: RwLock::default(),
            about_requests: AtomicUsize::new(0),
            about_calls: AtomicUsize::new(0),
        }))
    }

    /// Who does the faults that touch this. The latest who registered does them. It must not hold the
    /// [`Kit`](crate::Kit), which holds it.
    pub fn register(&self, touches: Touches, doer: Arc<dyn Doer>) {
        let mut held = self.0.write();
        held.doers.retain(|(what, _)| *what != touches);
        held.doers.push((touches, doer));
    }

    /// Takes a fault into force. To be called within a tokio runtime, which keeps its time.
    ///
    /// # Errors
    /// A name in force already; figures that cannot be, or what this service cannot do.
    pub fn inject(&self, order: FaultOrder) -> Result<FaultState, FaultRefused> {
        let inner = &self.0;
        check::figures(&order)?;
        let now = Instant::now();
        let mut held = inner.write();
        inner.sweep(&mut held, now);
        if held.active.iter().any(|f| f.order.name == order.name) {
            return Err(FaultRefused::NameTaken(order.name));
        }
        let ends = now + Duration::from_millis(order.ttl_ms);
        let hits = Hits::of(&order.name, &inner.metrics);
        let does = match order.effect.touches() {
            Touches::Requests => {
                check::aim(&order, inner.role, &inner.peers)?;
                Doing::Requests(Arc::new(RequestFault::new(&order, ends, hits.clone())))
            }
            touches => {
                let doer = held.doers.iter().find(|(what, _)| *what == touches);
                let (_, doer) = doer.ok_or_else(|| inner.cannot(&order))?;
                doer.check(&order)?;
                Doing::Effect(Mutex::new(doer.begin(&order, hits.clone())))
            }
        };
        tracing::info!(
            fault = order.name,
            kind = order.effect.kind(),
            ttl_ms = order.ttl_ms,
            "a fault is in force"
        );
        let fault = Active {
            timer: self.wake_at(ends),
            order,
            ends,
            hits,
            does,
        };
        let state = fault.state(now);
        show(&inner.metrics, &inner.target, &state, true);
        held.active.push(fault);
        inner.count(&held);
        Ok(state)
    }

    /// Ends a fault before its time. `None` when none of that name is known; one that is over already is given.
    pub fn clear(&self, name: &str) -> Option<FaultState> {
        let mut held = self.0.write();
        self.0.end(&mut held, |fault| fault.order.name == name);
        let ended = held.ended.iter().rev().find(|e| e.state.name == name);
        ended.map(Ended::state)
    }

    /// Ends all of them.
    pub fn clear_all(&self) -> FaultStates {
        let mut held = self.0.write();
        self.0.end(&mut held, |_| true);
        states(&held, Instant::now())
    }

    /// All that are in force, and those that ended.
    pub fn states(&self) -> FaultStates {
        let now = Instant::now();
        let mut held = self.0.write();
        self.0.sweep(&mut held, now);
        states(&held, now)
    }

    /// What the faults in force do to a request that is to be served. Faults of the process as a whole count it.
    pub(crate) fn at_request<'a>(&self, asked: impl FnOnce() -> Asked<'a>) -> Vec<Touch> {
        if self.0.about_requests.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let now = Instant::now();
        let held = self.0.read();
        let in_force = held.active.iter().filter(|fault| now < fault.ends);
        let of_the_process =
            in_force.filter(|fault| fault.order.effect.touches() == Touches::Process);
        for fault in of_the_process {
            fault.hits.add();
        }
        held.touch(now, &asked())
    }

    /// What the faults in force do to an attempt at a call.
    pub(crate) fn at_call<'a>(&self, asked: impl FnOnce() -> Asked<'a>) -> Vec<Touch> {
        if self.0.about_calls.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        self.0.read().touch(Instant::now(), &asked())
    }

    /// Sees to it that the fault which ends then is ended then, with nobody asking.
    fn wake_at(&self, ends: Instant) -> AbortHandle {
        let faults = Arc::downgrade(&self.0);
        let wake = async move {
            tokio::time::sleep_until(ends.into()).await;
            if let Some(inner) = faults.upgrade() {
                inner.sweep(&mut inner.write(), Instant::now());
            }
        };
        tokio::spawn(wake).abort_handle()
    }
}

impl Inner {
    // A poisoned lock only says that some thread panicked with it; what it had to do was done by half at most, and an
    // end that comes twice is none the worse.
    fn read(&self) -> RwLockReadGuard<'_, Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Held> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends those whose time is over.
    fn sweep(&self, held: &mut Held, now: Instant) {
        self.end(held, |fault| fault.ends <= now);
    }

    /// The effect has ended before the fault is told to have.
    fn end(&self, held: &mut Held, which: impl Fn(&Active) -> bool) {
        let Held { active, ended, .. } = held;
        for fault in active.extract_if(.., |fault| which(fault)) {
            let hits = fault.hits.clone();
            let state = FaultState {
                remaining_ms: 0,
                ..fault.state(fault.ends)
            };
            drop(fault);
            show(&self.metrics, &self.target, &state, false);
            tracing::info!(fault = state.name, hits = state.hits, "a fault ended");
            ended.push(Ended { state, hits });
        }
        let surplus = ended.len().saturating_sub(REMEMBERED);
        ended.drain(..surplus);
        self.count(held);
    }

    fn count(&self, held: &Held) {
        let count = |is: fn(&Active) -> bool| held.active.iter().filter(|f| is(f)).count();
        let (requests, calls) = (
            count(Active::is_about_requests),
            count(Active::is_about_calls),
        );
        self.about_requests.store(requests, Ordering::Release);
        self.about_calls.store(calls, Ordering::Release);
    }

    fn cannot(&self, order: &FaultOrder) -> FaultRefused {
        let kind = order.effect.kind();
        let has_not = match order.effect.touches() {
            Touches::Database => "has no database of its own; aim at a service that has one",
            _ => "cannot do that to itself",
        };
        FaultRefused::Invalid(format!("kind `{kind}`: {} {has_not}", self.role))
    }
}

impl Held {
    fn touch(&self, now: Instant, asked: &Asked<'_>) -> Vec<Touch> {
        let faults = self.active.iter().filter_map(|fault| match &fault.does {
            Doing::Requests(fault) => Some(fault),
            Doing::Effect(_) => None,
        });
        faults.filter_map(|f| f.touch(now, asked)).collect()
    }
}

impl Ended {
    fn state(&self) -> FaultState {
        FaultState {
            hits: self.hits.count(),
            ..self.state.clone()
        }
    }
}

fn states(held: &Held, now: Instant) -> FaultStates {
    FaultStates {
        active: held.active.iter().map(|f| f.state(now)).collect(),
        ended: held.ended.iter().map(Ended::state).collect(),
    }
}

/// Shows the fault's beginning or end in the metrics. The hits are declared with it, so that a rate over the first
/// one is not lost.
fn show(metrics: &Metrics, target: &str, state: &FaultState, active: bool) {
    let (name, kind, target) = (state.name.clone(), state.kind.clone(), target.to_owned());
    metrics.record(|| {
        counter!(names::FAULT_HITS, "fault" => name.clone()).increment(0);
        gauge!(names::FAULT_ACTIVE, "fault" => name, "kind" => kind, "target" => target)
            .set(if active { 1.0 } else { 0.0 });
    });
}

#[cfg(test)]
mod tests;
