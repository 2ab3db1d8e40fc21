//! Service faults: injected at the admin endpoint of each replica, which ends them by their time to live.
//!
//! A fault never outlives its window, even when the injector dies. A restarted replica has lost its fault, so
//! each replica is checked regularly and gets the fault again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use http::StatusCode;
use shop_contract::faults::{FaultOrder, FaultState, FaultStates};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::injection::{CheckResult, Injection};
use crate::admin::AdminClient;
use crate::backend::{BoxFuture, Processes};
use crate::error::InjectError;
use crate::fault::Target;
use crate::schedule::ScheduledFault;

/// One fault at every replica of its target.
pub(super) struct ServiceInjection {
    scheduled: Arc<ScheduledFault>,
    processes: Arc<dyn Processes>,
    admin: AdminClient,
    clock: Clock,
    end: CancellationToken,
    replicas: BTreeMap<u32, AtReplica>,
}

/// The fault at one replica.
#[derive(Debug, Default)]
struct AtReplica {
    presence: Presence,
    /// Hits that earlier processes of the replica counted before they died.
    earlier_hits: u64,
    /// Hits of the current process, by its latest reply.
    current_hits: u64,
}

/// Whether a replica has the fault.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Presence {
    /// It does not.
    #[default]
    Absent,
    /// The fault was sent and no reply came, so it may have it.
    Unknown,
    /// It has.
    Present,
    /// It had; the fault has ended there.
    Ended,
}

/// The result of a call for each replica.
type Replies<T> = Vec<(u32, Result<T, InjectError>)>;

impl ServiceInjection {
    pub(super) fn new(
        scheduled: Arc<ScheduledFault>,
        processes: Arc<dyn Processes>,
        admin: AdminClient,
        clock: Clock,
        end: CancellationToken,
    ) -> Self {
        Self {
            scheduled,
            processes,
            admin,
            clock,
            end,
            replicas: BTreeMap::new(),
        }
    }

    /// Injects the fault at every replica. If one refuses, it is removed from all: a refusal is final, and the fault
    /// would not be the scenario's. Replicas that are down get the fault later, if at least one has it now.
    async fn inject_everywhere(&mut self) -> Result<Option<String>, InjectError> {
        let targets = self.targets();
        if targets.is_empty() {
            return Err(InjectError::NoSuchTarget {
                target: self.scheduled.fault.target.to_string(),
            });
        }
        let mut missing = Vec::new();
        let mut injected = 0;
        for (replica, reply) in self.inject(targets).await {
            match reply {
                Ok(_) => injected += 1,
                Err(error) => missing.push((replica, error)),
            }
        }
        let refusal = missing
            .iter()
            .position(|(_, error)| matches!(error, InjectError::Refused { .. }));
        let fatal = refusal.or((injected == 0).then_some(0));
        if let Some(index) = fatal {
            self.clear().await;
            return Err(missing.swap_remove(index).1);
        }
        let later: Vec<String> = missing
            .iter()
            .map(|(replica, error)| format!("not yet at {}: {error}", self.name_of(*replica)))
            .collect();
        Ok((!later.is_empty()).then(|| later.join("; ")))
    }

    async fn check_and_repair(&mut self) -> CheckResult {
        let expected: Vec<u32> = self
            .targets()
            .into_iter()
            .filter(|replica| self.presence_at(*replica) != Presence::Ended)
            .collect();
        // Only this query may be cancelled when the fault is to end. A cancelled injection could arrive after the fault
        // was cleared.
        let replies = tokio::select! {
            biased;
            () = self.end.cancelled() => return CheckResult::default(),
            replies = self.list(expected) => replies,
        };
        let mut lost = Vec::new();
        for (replica, reply) in replies {
            // A replica without a reply keeps its last known count until the next check.
            if let Ok(states) = reply
                && self.update(replica, &states) == Presence::Absent
            {
                lost.push(replica);
            }
        }
        let repaired = self.inject(lost).await;
        let again: Vec<String> = repaired
            .into_iter()
            .filter(|(_, reply)| reply.is_ok())
            .map(|(replica, _)| self.name_of(replica))
            .collect();
        CheckResult {
            hits: Some(self.hits()),
            repaired: (!again.is_empty())
                .then(|| format!("injected at {}, where it was missing", again.join(", "))),
            gone: !self.replicas.is_empty()
                && self
                    .replicas
                    .values()
                    .all(|r| r.presence == Presence::Ended),
        }
    }

    /// Ends the fault wherever it is or may be. Returns the replicas that did not reply, with the error.
    async fn clear(&mut self) -> Option<String> {
        let affected: Vec<u32> = self
            .replicas
            .iter()
            .filter(|(_, r)| matches!(r.presence, Presence::Present | Presence::Unknown))
            .map(|(replica, _)| *replica)
            .collect();
        let name = self.scheduled.fault.name.clone();
        let admin = self.admin.clone();
        let replies = self
            .call_each(affected, move |_, address| {
                final_state(admin.clone(), address, name.clone())
            })
            .await;
        let mut failed = Vec::new();
        for (replica, reply) in replies {
            let known = self.replicas.entry(replica).or_default();
            match reply {
                Ok(state) => {
                    known.presence = Presence::Ended;
                    // Without a state the process has restarted and lost its count: the last known count stays.
                    if let Some(state) = state {
                        known.current_hits = known.current_hits.max(state.hits);
                    }
                }
                // A dead process has no fault, and a paused one ends it by its time to live.
                Err(InjectError::NotRunning { .. }) => known.presence = Presence::Ended,
                Err(error) => failed.push(format!(
                    "last known count of {}: {error}",
                    self.name_of(replica)
                )),
            }
        }
        (!failed.is_empty()).then(|| failed.join("; "))
    }

    /// Updates what is known of a replica from its list of faults.
    fn update(&mut self, replica: u32, states: &FaultStates) -> Presence {
        let name = &self.scheduled.fault.name;
        let known = self.replicas.entry(replica).or_default();
        if let Some(state) = states.active.iter().find(|s| s.name == *name) {
            known.current_hits = state.hits;
            known.presence = Presence::Present;
        } else if known.presence == Presence::Present
            && let Some(state) = ended_state(states, name, known.current_hits)
        {
            // By its time to live, or cleared by hand. It stays ended.
            known.current_hits = state.hits;
            known.presence = Presence::Ended;
        } else {
            known.earlier_hits += std::mem::take(&mut known.current_hits);
            known.presence = Presence::Absent;
        }
        known.presence
    }

    /// Injects the fault at these replicas for the remaining time.
    async fn inject(&mut self, replicas: Vec<u32>) -> Replies<FaultState> {
        let admin = self.admin.clone();
        let replies = self
            .call_each(replicas, |replica, address| {
                let (admin, order) = (admin.clone(), self.order(replica));
                async move { admin.inject(address, &order?).await }
            })
            .await;
        for (replica, reply) in &replies {
            self.replicas.entry(*replica).or_default().presence = match reply {
                Ok(_) => Presence::Present,
                // A fault of the same name is not this one, so it is not cleared. The other two errors mean that the
                // replica was not called.
                Err(
                    InjectError::Refused { .. }
                    | InjectError::NotRunning { .. }
                    | InjectError::TooLate,
                ) => Presence::Absent,
                Err(_) => Presence::Unknown,
            };
        }
        replies
    }

    async fn list(&self, replicas: Vec<u32>) -> Replies<FaultStates> {
        let admin = self.admin.clone();
        self.call_each(replicas, move |_, address| {
            let admin = admin.clone();
            async move { admin.list(address).await }
        })
        .await
    }

    /// Calls all of these replicas at once, so that one that hangs does not delay the others.
    async fn call_each<T, F>(
        &self,
        replicas: Vec<u32>,
        call: impl Fn(u32, SocketAddr) -> F,
    ) -> Replies<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, InjectError>> + Send + 'static,
    {
        let mut replies = Replies::new();
        let mut calls = JoinSet::new();
        let role = &self.scheduled.fault.target.role;
        for replica in replicas {
            match self.processes.admin_address(role, replica) {
                Some(address) => {
                    let call = call(replica, address);
                    calls.spawn(async move { (replica, call.await) });
                }
                None => {
                    let target = self.name_of(replica);
                    replies.push((replica, Err(InjectError::NotRunning { target })));
                }
            }
        }
        while let Some(done) = calls.join_next().await {
            match done {
                Ok(reply) => replies.push(reply),
                Err(error) => tracing::error!(%error, "a call to an admin endpoint failed"),
            }
        }
        replies.sort_by_key(|(replica, _)| *replica);
        replies
    }

    /// The order for one replica, for the remaining time.
    fn order(&self, replica: u32) -> Result<FaultOrder, InjectError> {
        let remaining = self
            .scheduled
            .window
            .to
            .saturating_sub(self.clock.elapsed());
        if remaining.is_zero() {
            return Err(InjectError::TooLate);
        }
        let order = self.scheduled.order_at(replica, remaining);
        order.ok_or(InjectError::TooLate)
    }

    /// The replicas of the target, as many as the role has now.
    fn targets(&self) -> Vec<u32> {
        let Target { role, replica, .. } = &self.scheduled.fault.target;
        match replica {
            Some(replica) => vec![*replica],
            None => (0..self.processes.replicas(role)).collect(),
        }
    }

    fn presence_at(&self, replica: u32) -> Presence {
        self.replicas
            .get(&replica)
            .map(|r| r.presence)
            .unwrap_or_default()
    }

    fn name_of(&self, replica: u32) -> String {
        format!("{}/{replica}", self.scheduled.fault.target.role)
    }

    fn hits(&self) -> u64 {
        self.replicas
            .values()
            .map(|r| r.earlier_hits + r.current_hits)
            .sum()
    }
}

impl Injection for ServiceInjection {
    fn begin(&mut self) -> BoxFuture<'_, Result<Option<String>, InjectError>> {
        Box::pin(self.inject_everywhere())
    }

    fn check(&mut self) -> BoxFuture<'_, CheckResult> {
        Box::pin(self.check_and_repair())
    }

    fn end(&mut self) -> BoxFuture<'_, Option<String>> {
        Box::pin(self.clear())
    }

    fn total_hits(&mut self) -> BoxFuture<'_, Option<u64>> {
        let hits = self.hits();
        Box::pin(async move { Some(hits) })
    }
}

/// Ends a fault at one replica and returns its final state: `None` when the replica does not have the fault. Tries
/// twice, because a fault that stays is worse than a redundant call.
async fn final_state(
    admin: AdminClient,
    address: SocketAddr,
    name: String,
) -> Result<Option<FaultState>, InjectError> {
    let mut reply = admin.clear(address, &name).await;
    if matches!(reply, Err(InjectError::Unreachable { .. })) {
        reply = admin.clear(address, &name).await;
    }
    match reply {
        // It ended by its time to live before; its count is in the list of ended faults.
        Err(InjectError::Refused { status, .. }) if status == StatusCode::NOT_FOUND => {
            let states = admin.list(address).await?;
            Ok(ended_state(&states, &name, 0).cloned())
        }
        reply => reply.map(Some),
    }
}

/// The latest ended fault of that name. Hits never decrease, so one with fewer than `known` is an earlier one.
fn ended_state<'s>(states: &'s FaultStates, name: &str, known: u64) -> Option<&'s FaultState> {
    states
        .ended
        .iter()
        .filter(|s| s.name == name && s.hits >= known)
        .max_by_key(|s| s.hits)
}
