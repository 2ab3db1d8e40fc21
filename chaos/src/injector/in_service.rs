//! Faults in a service: asked for at the admin endpoint of each replica, held there with a time to live.
//!
//! The target ends such a fault by itself, so nothing here can leave one behind for longer than its window. A
//! restarted replica has forgotten its fault, so it is asked regularly and given the fault again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use http::StatusCode;
use shop_contract::faults::{FaultOrder, FaultState, FaultStates};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Clock;
use super::injection::{Injection, Sighting};
use crate::admin::AdminClient;
use crate::fault::Target;
use crate::processes::{BoxFuture, InjectError, Processes};
use crate::schedule::Planned;

/// One fault at every replica that it is aimed at.
pub(super) struct InService {
    planned: Arc<Planned>,
    processes: Arc<dyn Processes>,
    admin: AdminClient,
    clock: Clock,
    over: CancellationToken,
    replicas: BTreeMap<u32, AtReplica>,
}

/// The fault at one replica.
#[derive(Debug, Default)]
struct AtReplica {
    stands: Stands,
    /// Hits by processes that have died since.
    banked: u64,
    /// Hits by the present process, as it last said.
    current: u64,
}

/// How the fault stands at one replica.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// Not there.
    #[default]
    Absent,
    /// Asked for without an answer: it may be there.
    Maybe,
    /// There.
    Held,
    /// It was there and has ended.
    Over,
}

type Answers<T> = Vec<(u32, Result<T, InjectError>)>;

impl InService {
    pub(super) fn new(
        planned: Arc<Planned>,
        processes: Arc<dyn Processes>,
        admin: AdminClient,
        clock: Clock,
        over: CancellationToken,
    ) -> Self {
        Self {
            planned,
            processes,
            admin,
            clock,
            over,
            replicas: BTreeMap::new(),
        }
    }

    /// A replica that says no will say no again, and then the fault is not what the scenario means: all or nothing.
    /// One that is not there, among others that are, may be on its way back and gets the fault later.
    async fn place_everywhere(&mut self) -> Result<Option<String>, InjectError> {
        let targets = self.targets();
        if targets.is_empty() {
            return Err(InjectError::NoSuchTarget {
                target: self.planned.fault.target.to_string(),
            });
        }
        let mut missing = Vec::new();
        let mut placed = 0;
        for (replica, answer) in self.place(targets).await {
            match answer {
                Ok(_) => placed += 1,
                Err(error) => missing.push((replica, error)),
            }
        }
        let refusal = missing
            .iter()
            .position(|(_, error)| matches!(error, InjectError::Refused { .. }));
        let fatal = refusal.or((placed == 0).then_some(0));
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

    async fn look_and_repair(&mut self) -> Sighting {
        let asked: Vec<u32> = self
            .targets()
            .into_iter()
            .filter(|replica| self.stands_at(*replica) != Stands::Over)
            .collect();
        // Only the question may be cut short when the time is over: an order that is under way could arrive after
        // the fault was cleared.
        let answers = tokio::select! {
            biased;
            () = self.over.cancelled() => return Sighting::default(),
            answers = self.ask(asked) => answers,
        };
        let mut lost = Vec::new();
        for (replica, answer) in answers {
            // A replica that is down or does not answer keeps its last known count, and is asked again.
            if let Ok(states) = answer
                && self.note(replica, &states) == Stands::Absent
            {
                lost.push(replica);
            }
        }
        let repaired = self.place(lost).await;
        let again: Vec<String> = repaired
            .into_iter()
            .filter(|(_, answer)| answer.is_ok())
            .map(|(replica, _)| self.name_of(replica))
            .collect();
        Sighting {
            hits: Some(self.hits()),
            repaired: (!again.is_empty())
                .then(|| format!("given to {}, which did not have it", again.join(", "))),
            gone: !self.replicas.is_empty()
                && self.replicas.values().all(|r| r.stands == Stands::Over),
        }
    }

    /// Ends the fault wherever it is or may be. Gives the replicas that could not be reached, in words.
    async fn clear(&mut self) -> Option<String> {
        let holders: Vec<u32> = self
            .replicas
            .iter()
            .filter(|(_, r)| matches!(r.stands, Stands::Held | Stands::Maybe))
            .map(|(replica, _)| *replica)
            .collect();
        let name = self.planned.fault.name.clone();
        let admin = self.admin.clone();
        let answers = self
            .at_each(holders, move |_, address| {
                final_state(admin.clone(), address, name.clone())
            })
            .await;
        let mut silent = Vec::new();
        for (replica, answer) in answers {
            let held = self.replicas.entry(replica).or_default();
            match answer {
                Ok(state) => {
                    held.stands = Stands::Over;
                    // Without a state the process was restarted and knows nothing: the last known count stays.
                    if let Some(state) = state {
                        held.current = held.current.max(state.hits);
                    }
                }
                // Who does not run holds no fault, and one that stands still ends it by itself.
                Err(InjectError::NotRunning { .. }) => held.stands = Stands::Over,
                Err(error) => silent.push(format!(
                    "last known count of {}: {error}",
                    self.name_of(replica)
                )),
            }
        }
        (!silent.is_empty()).then(|| silent.join("; "))
    }

    /// Takes in what a replica says of its faults.
    fn note(&mut self, replica: u32, states: &FaultStates) -> Stands {
        let name = &self.planned.fault.name;
        let held = self.replicas.entry(replica).or_default();
        if let Some(state) = states.active.iter().find(|s| s.name == *name) {
            held.current = state.hits;
            held.stands = Stands::Held;
        } else if held.stands == Stands::Held
            && let Some(state) = ended_state(states, name, held.current)
        {
            // By its time to live, or someone cleared it by hand. That is respected.
            held.current = state.hits;
            held.stands = Stands::Over;
        } else {
            held.banked += std::mem::take(&mut held.current);
            held.stands = Stands::Absent;
        }
        held.stands
    }

    /// Gives the fault to replicas for the time that remains.
    async fn place(&mut self, replicas: Vec<u32>) -> Answers<FaultState> {
        let admin = self.admin.clone();
        let answers = self
            .at_each(replicas, |replica, address| {
                let (admin, order) = (admin.clone(), self.order(replica));
                async move { admin.inject(address, &order?).await }
            })
            .await;
        for (replica, answer) in &answers {
            self.replicas.entry(*replica).or_default().stands = match answer {
                Ok(_) => Stands::Held,
                // Not ours to clear when it is a name in use; and nothing is there when it was never asked.
                Err(
                    InjectError::Refused { .. }
                    | InjectError::NotRunning { .. }
                    | InjectError::TooLate,
                ) => Stands::Absent,
                Err(_) => Stands::Maybe,
            };
        }
        answers
    }

    async fn ask(&self, replicas: Vec<u32>) -> Answers<FaultStates> {
        let admin = self.admin.clone();
        self.at_each(replicas, move |_, address| {
            let admin = admin.clone();
            async move { admin.list(address).await }
        })
        .await
    }

    /// One call to each of several replicas, all at once, so that one that hangs does not keep the others waiting.
    async fn at_each<T, F>(
        &self,
        replicas: Vec<u32>,
        call: impl Fn(u32, SocketAddr) -> F,
    ) -> Answers<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, InjectError>> + Send + 'static,
    {
        let mut answers = Answers::new();
        let mut calls = JoinSet::new();
        let role = &self.planned.fault.target.role;
        for replica in replicas {
            match self.processes.admin_address(role, replica) {
                Some(address) => {
                    let call = call(replica, address);
                    calls.spawn(async move { (replica, call.await) });
                }
                None => {
                    let target = self.name_of(replica);
                    answers.push((replica, Err(InjectError::NotRunning { target })));
                }
            }
        }
        while let Some(done) = calls.join_next().await {
            match done {
                Ok(answer) => answers.push(answer),
                Err(error) => tracing::error!(%error, "a call to an admin endpoint failed"),
            }
        }
        answers.sort_by_key(|(replica, _)| *replica);
        answers
    }

    /// What is asked of one replica now.
    fn order(&self, replica: u32) -> Result<FaultOrder, InjectError> {
        let remaining = self.planned.window.to.saturating_sub(self.clock.elapsed());
        if remaining.is_zero() {
            return Err(InjectError::TooLate);
        }
        let order = self.planned.order_at(replica, remaining);
        order.ok_or(InjectError::TooLate)
    }

    /// The replicas that it is aimed at, as many as there are by now.
    fn targets(&self) -> Vec<u32> {
        let Target { role, replica, .. } = &self.planned.fault.target;
        match replica {
            Some(replica) => vec![*replica],
            None => (0..self.processes.replicas(role)).collect(),
        }
    }

    fn stands_at(&self, replica: u32) -> Stands {
        self.replicas
            .get(&replica)
            .map(|r| r.stands)
            .unwrap_or_default()
    }

    fn name_of(&self, replica: u32) -> String {
        format!("{}/{replica}", self.planned.fault.target.role)
    }

    fn hits(&self) -> u64 {
        self.replicas.values().map(|r| r.banked + r.current).sum()
    }
}

impl Injection for InService {
    fn begin(&mut self) -> BoxFuture<'_, Result<Option<String>, InjectError>> {
        Box::pin(self.place_everywhere())
    }

    fn look(&mut self) -> BoxFuture<'_, Sighting> {
        Box::pin(self.look_and_repair())
    }

    fn end(&mut self) -> BoxFuture<'_, Option<String>> {
        Box::pin(self.clear())
    }

    fn total(&mut self) -> BoxFuture<'_, Option<u64>> {
        let hits = self.hits();
        Box::pin(async move { Some(hits) })
    }
}

/// Ends a fault at one target and gives its final state: `None` when the target knows nothing of it. Asked twice,
/// since a fault that stays is worse than a call too many.
async fn final_state(
    admin: AdminClient,
    address: SocketAddr,
    name: String,
) -> Result<Option<FaultState>, InjectError> {
    let mut answer = admin.clear(address, &name).await;
    if matches!(answer, Err(InjectError::Unreachable { .. })) {
        answer = admin.clear(address, &name).await;
    }
    match answer {
        // Its time to live was quicker; the count is among those that ended.
        Err(InjectError::Refused { status, .. }) if status == StatusCode::NOT_FOUND => {
            let states = admin.list(address).await?;
            Ok(ended_state(&states, &name, 0).cloned())
        }
        answer => answer.map(Some),
    }
}

/// The latest ended fault of that name. Hits never shrink, so one with fewer than are known is an older one.
fn ended_state<'s>(states: &'s FaultStates, name: &str, known: u64) -> Option<&'s FaultState> {
    states
        .ended
        .iter()
        .filter(|s| s.name == name && s.hits >= known)
        .max_by_key(|s| s.hits)
}
