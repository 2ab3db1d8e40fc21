//! The registry of a service's faults: accepted or refused, counted, ended.
//!
//! Each fault is ended by a timer of its own, and every look at the registry sweeps those whose time is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use metrics::{counter, gauge};
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use shop_contract::Role;
use shop_contract::faults::{FaultOrder, FaultState, FaultStates, Touches};
use tokio::task::AbortHandle;

use super::check;
use super::error::FaultRefused;
use super::filter::RequestInfo;
use super::hits::FaultHits;
use super::injector::{FaultGuard, FaultInjector};
use super::request_fault::{Injection, RequestFault};
use crate::config::ServiceConfig;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::names;

/// The ended faults that are remembered, so that a late `GET /faults` still shows their hits.
const MAX_ENDED: usize = 100;

/// The faults of one service. Clones share them.
#[derive(Clone)]
pub struct Faults(Arc<Inner>);

struct Inner {
    target: String,
    role: Role,
    peers: Vec<Role>,
    metrics: Metrics,
    lists: RwLock<FaultLists>,
    /// The active faults that concern served requests. With none, a request takes no lock.
    request_faults: AtomicUsize,
    /// The active faults that concern outbound calls.
    call_faults: AtomicUsize,
}

#[derive(Default)]
struct FaultLists {
    injectors: Vec<(Touches, Arc<dyn FaultInjector>)>,
    active: Vec<ActiveFault>,
    ended: Vec<EndedFault>,
}

/// An active fault.
struct ActiveFault {
    order: FaultOrder,
    ends: Instant,
    hits: FaultHits,
    timer: AbortHandle,
    mechanism: Mechanism,
}

/// How an active fault takes effect.
enum Mechanism {
    /// Consulted for every request.
    Requests(Arc<RequestFault>),
    /// Applied by an injector until the guard is dropped. The lock is never taken: it makes the guard, which is only `Send`,
    /// shareable between threads.
    Guard(#[allow(dead_code, reason = "held for its drop")] Mutex<FaultGuard>),
}

/// An ended fault. Hits may still come in, such as for a response whose body was sent after the end.
struct EndedFault {
    state: FaultState,
    hits: FaultHits,
}

impl ActiveFault {
    fn state(&self, now: Instant) -> FaultState {
        FaultState {
            name: self.order.name.clone(),
            kind: self.order.effect.kind().to_owned(),
            hits: self.hits.count(),
            remaining_ms: self.ends.saturating_duration_since(now).as_millis() as u64,
        }
    }

    fn concerns_requests(&self) -> bool {
        match self.order.effect.touches() {
            Touches::Requests => self.order.only.calling.is_none(),
            Touches::Process => true,
            Touches::Database => false,
        }
    }

    fn concerns_calls(&self) -> bool {
        self.order.only.calling.is_some()
    }
}

impl Drop for ActiveFault {
    fn drop(&mut self) {
        self.timer.abort();
        if let Mechanism::Requests(fault) = &self.mechanism {
            fault.end();
        }
    }
}

impl Faults {
    /// The registry of the service with this configuration, with no fault active.
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
            lists: RwLock::default(),
            request_faults: AtomicUsize::new(0),
            call_faults: AtomicUsize::new(0),
        }))
    }

    /// Registers the injector for one sort of fault, in place of an earlier one. It must not hold the
    /// [`Kit`](crate::Kit), as the kit holds it.
    pub fn register(&self, touches: Touches, injector: Arc<dyn FaultInjector>) {
        let mut lists = self.0.write();
        lists.injectors.retain(|(what, _)| *what != touches);
        lists.injectors.push((touches, injector));
    }

    /// Activates a fault. Call it within a tokio runtime, which runs its timer.
    ///
    /// # Errors
    /// A name that is active already, an invalid value, or a fault that this service cannot inject.
    pub fn inject(&self, order: FaultOrder) -> Result<FaultState, FaultRefused> {
        let inner = &self.0;
        check::values(&order)?;
        let now = Instant::now();
        let mut lists = inner.write();
        inner.sweep(&mut lists, now);
        if lists.active.iter().any(|f| f.order.name == order.name) {
            return Err(FaultRefused::NameTaken(order.name));
        }
        let ends = now + Duration::from_millis(order.ttl_ms);
        let hits = FaultHits::new(&order.name, &inner.metrics);
        let mechanism = match order.effect.touches() {
            Touches::Requests => {
                check::target(&order, inner.role, &inner.peers)?;
                Mechanism::Requests(Arc::new(RequestFault::new(&order, ends, hits.clone())))
            }
            touches => {
                let injector = lists.injectors.iter().find(|(what, _)| *what == touches);
                let (_, injector) = injector.ok_or_else(|| inner.unsupported(&order))?;
                injector.check(&order)?;
                Mechanism::Guard(Mutex::new(injector.start(&order, hits.clone())))
            }
        };
        tracing::info!(
            fault = order.name,
            kind = order.effect.kind(),
            ttl_ms = order.ttl_ms,
            "a fault is active"
        );
        let fault = ActiveFault {
            timer: self.end_at(ends),
            order,
            ends,
            hits,
            mechanism,
        };
        let state = fault.state(now);
        record(&inner.metrics, &inner.target, &state, true);
        lists.active.push(fault);
        inner.count(&lists);
        Ok(state)
    }

    /// Ends a fault early and returns its state, also if it had ended already. `None` for an unknown name.
    pub fn clear(&self, name: &str) -> Option<FaultState> {
        let mut lists = self.0.write();
        self.0.end(&mut lists, |fault| fault.order.name == name);
        let ended = lists.ended.iter().rev().find(|e| e.state.name == name);
        ended.map(EndedFault::state)
    }

    /// Ends all faults.
    pub fn clear_all(&self) -> FaultStates {
        let mut lists = self.0.write();
        self.0.end(&mut lists, |_| true);
        states(&lists, Instant::now())
    }

    /// The active faults, and the latest ended ones.
    pub fn states(&self) -> FaultStates {
        let now = Instant::now();
        let mut lists = self.0.write();
        self.0.sweep(&mut lists, now);
        states(&lists, now)
    }

    /// What the active faults do to a request that is about to be served. It counts as a hit of each process fault.
    pub(crate) fn for_request<'a>(
        &self,
        request: impl FnOnce() -> RequestInfo<'a>,
    ) -> Vec<Injection> {
        if self.0.request_faults.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let now = Instant::now();
        let lists = self.0.read();
        let active = lists.active.iter().filter(|fault| now < fault.ends);
        let process_faults =
            active.filter(|fault| fault.order.effect.touches() == Touches::Process);
        for fault in process_faults {
            fault.hits.add();
        }
        lists.inject(now, &request())
    }

    /// What the active faults do to one attempt of an outbound call.
    pub(crate) fn for_call<'a>(&self, request: impl FnOnce() -> RequestInfo<'a>) -> Vec<Injection> {
        if self.0.call_faults.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        self.0.read().inject(Instant::now(), &request())
    }

    /// Starts the timer of a fault that ends at `ends`.
    fn end_at(&self, ends: Instant) -> AbortHandle {
        let faults = Arc::downgrade(&self.0);
        let timer = async move {
            tokio::time::sleep_until(ends.into()).await;
            if let Some(inner) = faults.upgrade() {
                inner.sweep(&mut inner.write(), Instant::now());
            }
        };
        tokio::spawn(timer).abort_handle()
    }
}

impl Inner {
    fn read(&self) -> RwLockReadGuard<'_, FaultLists> {
        self.lists.read()
    }

    fn write(&self) -> RwLockWriteGuard<'_, FaultLists> {
        self.lists.write()
    }

    /// Ends the faults whose time is over.
    fn sweep(&self, lists: &mut FaultLists, now: Instant) {
        self.end(lists, |fault| fault.ends <= now);
    }

    /// Ends faults. Each is undone before its state says that it has ended.
    fn end(&self, lists: &mut FaultLists, which: impl Fn(&ActiveFault) -> bool) {
        let FaultLists { active, ended, .. } = lists;
        for fault in active.extract_if(.., |fault| which(fault)) {
            let hits = fault.hits.clone();
            let state = FaultState {
                remaining_ms: 0,
                ..fault.state(fault.ends)
            };
            drop(fault);
            record(&self.metrics, &self.target, &state, false);
            tracing::info!(fault = state.name, hits = state.hits, "a fault ended");
            ended.push(EndedFault { state, hits });
        }
        let surplus = ended.len().saturating_sub(MAX_ENDED);
        ended.drain(..surplus);
        self.count(lists);
    }

    fn count(&self, lists: &FaultLists) {
        let count = |is: fn(&ActiveFault) -> bool| lists.active.iter().filter(|f| is(f)).count();
        let (requests, calls) = (
            count(ActiveFault::concerns_requests),
            count(ActiveFault::concerns_calls),
        );
        self.request_faults.store(requests, Ordering::Release);
        self.call_faults.store(calls, Ordering::Release);
    }

    fn unsupported(&self, order: &FaultOrder) -> FaultRefused {
        let kind = order.effect.kind();
        let reason = match order.effect.touches() {
            Touches::Database => "has no database of its own; aim at a service that has one",
            _ => "cannot do that to itself",
        };
        FaultRefused::Invalid(format!("kind `{kind}`: {} {reason}", self.role))
    }
}

impl FaultLists {
    fn inject(&self, now: Instant, request: &RequestInfo<'_>) -> Vec<Injection> {
        let faults = self
            .active
            .iter()
            .filter_map(|fault| match &fault.mechanism {
                Mechanism::Requests(fault) => Some(fault),
                Mechanism::Guard(_) => None,
            });
        faults.filter_map(|f| f.inject(now, request)).collect()
    }
}

impl EndedFault {
    fn state(&self) -> FaultState {
        FaultState {
            hits: self.hits.count(),
            ..self.state.clone()
        }
    }
}

fn states(lists: &FaultLists, now: Instant) -> FaultStates {
    FaultStates {
        active: lists.active.iter().map(|f| f.state(now)).collect(),
        ended: lists.ended.iter().map(EndedFault::state).collect(),
    }
}

/// Records in the metrics that a fault is active or has ended. Its hits are declared at zero, so that a rate over the first
/// hit is not lost.
fn record(metrics: &Metrics, target: &str, state: &FaultState, active: bool) {
    let (name, kind, target) = (state.name.clone(), state.kind.clone(), target.to_owned());
    metrics.record(|| {
        counter!(names::FAULT_HITS, "fault" => name.clone()).increment(0);
        gauge!(names::FAULT_ACTIVE, "fault" => name, "kind" => kind, "target" => target)
            .set(if active { 1.0 } else { 0.0 });
    });
}

#[cfg(test)]
mod tests;
