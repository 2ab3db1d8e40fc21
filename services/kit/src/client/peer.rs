//! The replicas of each role that may be called, with their breakers, costs and budgets.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge};
use parking_lot::{Mutex, MutexGuard};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use shop_contract::Role;
use shop_resilience::{
    Admission, BalanceConfig, Balancer, Breaker, BreakerConfig, BreakerState, Deadline, Hedge,
    HedgeConfig, Moment, NoRetry, Outcome, Pass, RetryBudget, RetryBudgetConfig, RetryPolicy,
    Tried, may_hedge,
};

use super::bulkhead::BulkheadGate;
use crate::config::{ServiceConfig, Switches};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::names;

/// Every peer by role.
pub(crate) struct Peers(BTreeMap<Role, Arc<Peer>>);

impl Peers {
    /// The peers of a service. Random draws for balancing and jitter are seeded with caller and callee.
    pub(crate) fn new(config: &ServiceConfig, metrics: &Metrics) -> Self {
        let peers = config.peers.iter().map(|(&role, addresses)| {
            let seed = config.seed
                ^ ((config.role as u64) << 32 | u64::from(config.replica) << 16 | role as u64);
            let peer = Peer::new(role, addresses, seed, metrics, config.resilience);
            (role, Arc::new(peer))
        });
        Self(peers.collect())
    }

    /// The replicas of a role.
    pub(crate) fn of(&self, role: Role) -> Option<&Arc<Peer>> {
        self.0.get(&role).filter(|p| !p.addresses.is_empty())
    }
}

/// The replicas of one role.
pub(crate) struct Peer {
    role: Role,
    addresses: Vec<String>,
    known: Mutex<Known>,
    bulkhead: Arc<BulkheadGate>,
    metrics: Metrics,
}

struct Known {
    breakers: Vec<Breaker>,
    balancer: Balancer,
    budget: RetryBudget,
    /// By route template, so their number is bounded.
    hedges: HashMap<&'static str, Hedge>,
    draws: ChaCha8Rng,
}

impl Peer {
    fn new(
        role: Role,
        addresses: &[String],
        seed: u64,
        metrics: &Metrics,
        switches: Switches,
    ) -> Self {
        let balance = BalanceConfig {
            by_cost: switches.balancing,
            ..BalanceConfig::default()
        };
        let budget = if switches.budgets {
            RetryBudgetConfig::default()
        } else {
            RetryBudgetConfig::unbounded()
        };
        let known = Known {
            breakers: addresses
                .iter()
                .map(|_| Breaker::new(BreakerConfig::default()))
                .collect(),
            balancer: Balancer::new(balance, addresses.len()),
            budget: RetryBudget::new(budget),
            hedges: HashMap::new(),
            draws: ChaCha8Rng::seed_from_u64(seed),
        };
        let peer = Self {
            role,
            addresses: addresses.to_vec(),
            known: Mutex::new(known),
            bulkhead: Arc::new(BulkheadGate::new(role, metrics.clone())),
            metrics: metrics.clone(),
        };
        for index in 0..addresses.len() {
            peer.show_breaker(index, BreakerState::Closed);
        }
        peer.metrics.record(|| {
            for address in addresses {
                counter!(names::ATTEMPTS, "server_address" => role.name(), "server_port" => port(address))
                    .increment(0);
            }
            counter!(names::RETRIES, "server_address" => role.name()).increment(0);
            for outcome in ["won", "lost"] {
                counter!(names::HEDGES, "server_address" => role.name(), "outcome" => outcome)
                    .increment(0);
            }
        });
        peer
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock()
    }

    /// The bulkhead of calls to this role.
    pub(super) fn bulkhead(&self) -> &Arc<BulkheadGate> {
        &self.bulkhead
    }

    /// Counts a call. The retry budget grows with it.
    pub(crate) fn record_request(&self, now: Moment) {
        self.known().budget.record_request(now);
    }

    /// Requests another try.
    pub(crate) fn may_retry(
        &self,
        policy: &RetryPolicy,
        tried: impl FnOnce(f64) -> Tried,
    ) -> Result<Duration, NoRetry> {
        let mut known = self.known();
        let draw = known.draws.random();
        policy.may_retry(&tried(draw), &mut known.budget)
    }

    /// Picks a replica, one that was not tried where possible. `None`: all breakers are open.
    pub(crate) fn pick(
        self: &Arc<Self>,
        now: Moment,
        tried: &[usize],
        breakers: bool,
    ) -> Option<AttemptGuard> {
        let mut known = self.known();
        let all = 0..self.addresses.len();
        let (index, pass, probe) = if breakers {
            let open: Vec<usize> = all
                .filter(|&i| known.breakers[i].is_available(now))
                .collect();
            let probe = open
                .iter()
                .copied()
                .find(|&i| !tried.contains(&i) && known.breakers[i].wants_probe(now));
            let index = match probe {
                Some(i) => i,
                None => known.choose(now, &open, tried)?,
            };
            match known.breakers[index].admit(now) {
                Admission::Yes(pass) => (index, Some(pass), false),
                Admission::Probe(pass) => {
                    self.show_breaker(index, known.breakers[index].state());
                    (index, Some(pass), true)
                }
                Admission::No { .. } => return None,
            }
        } else {
            let all: Vec<usize> = all.collect();
            (known.choose(now, &all, tried)?, None, false)
        };
        Some(self.guard(&mut known, index, pass, probe))
    }

    /// Picks a replica for a hedge, other than `first` where possible, and takes a budget token. It is never a probe: a
    /// request that may be cancelled at any time cannot judge a replica.
    pub(super) fn hedge(
        self: &Arc<Self>,
        now: Moment,
        first: usize,
        breakers: bool,
        deadline: Option<Deadline>,
    ) -> Option<AttemptGuard> {
        let mut known = self.known();
        let closed = |i: &usize| known.breakers[*i].state() == BreakerState::Closed;
        let allowed: Vec<usize> = (0..self.addresses.len())
            .filter(|i| !breakers || closed(i))
            .collect();
        let index = known.choose(now, &allowed, &[first])?;
        may_hedge(now, deadline, &mut known.budget).ok()?;
        let pass = match known.breakers[index].admit(now) {
            Admission::Yes(pass) if breakers => Some(pass),
            // A closed breaker admits; a breaker that is switched off gets no results.
            _ => None,
        };
        Some(self.guard(&mut known, index, pass, false))
    }

    fn guard(
        self: &Arc<Self>,
        known: &mut Known,
        index: usize,
        pass: Option<Pass>,
        probe: bool,
    ) -> AttemptGuard {
        known.balancer.started(index);
        AttemptGuard {
            peer: Arc::clone(self),
            index,
            pass,
            probe,
            finished: false,
        }
    }

    /// The hedging delay of reads of this kind. `None`: too few observations.
    pub(super) fn patience(&self, now: Moment, template: &'static str) -> Option<Duration> {
        self.known().hedges.get_mut(template)?.patience(now)
    }

    /// The first try of a read took this long.
    pub(super) fn observe(&self, now: Moment, template: &'static str, took: Duration) {
        let mut known = self.known();
        let hedge = known
            .hedges
            .entry(template)
            .or_insert_with(|| Hedge::new(HedgeConfig::default()));
        hedge.observe(now, took);
    }

    /// A try at a replica was given up after this time because another one had answered.
    pub(super) fn outlasted(&self, index: usize, now: Moment, at_least: Duration) {
        self.known().balancer.outlasted(index, now, at_least);
    }

    fn show_breaker(&self, index: usize, state: BreakerState) {
        let port = port(&self.addresses[index]);
        self.metrics.record(|| {
            gauge!(names::BREAKER_STATE, "server_address" => self.role.name(), "server_port" => port)
                .set(f64::from(state.number()));
        });
    }
}

impl Known {
    fn choose(&mut self, now: Moment, allowed: &[usize], tried: &[usize]) -> Option<usize> {
        let draws = (self.draws.random(), self.draws.random());
        self.balancer.pick(now, draws, allowed, tried)
    }
}

/// The port of `host:port`.
pub(crate) fn port(address: &str) -> String {
    address.rsplit(':').next().unwrap_or_default().to_owned()
}

/// One attempt at a replica. If it is dropped without a result (the attempt was cancelled), it gives everything back
/// and reports nothing about the replica.
pub(crate) struct AttemptGuard {
    peer: Arc<Peer>,
    index: usize,
    pass: Option<Pass>,
    probe: bool,
    finished: bool,
}

impl AttemptGuard {
    /// The index of the replica.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Whether its breaker waits for this attempt's result.
    pub(super) fn is_probe(&self) -> bool {
        self.probe
    }

    /// Its `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.peer.addresses[self.index]
    }

    /// Reports the result.
    pub(crate) fn finish(mut self, now: Moment, took: Duration, outcome: Outcome) {
        self.finished = true;
        let mut known = self.peer.known();
        known
            .balancer
            .finished(self.index, now, took, !outcome.is_penalised());
        let changed = self.pass.take().and_then(|pass| {
            known.breakers[self.index].on_result(now, pass, !outcome.trips_breaker())
        });
        if changed == Some(BreakerState::Closed) {
            known.balancer.forgive(self.index);
        }
        drop(known);
        if let Some(state) = changed {
            self.peer.show_breaker(self.index, state);
            tracing::info!(peer = %self.peer.role, address = self.address(), state = ?state, "a breaker changed");
        }
    }
}

impl Drop for AttemptGuard {
    fn drop(&mut self) {
        if !self.finished {
            let mut known = self.peer.known();
            known.balancer.abandoned(self.index);
            if let Some(pass) = self.pass.take() {
                known.breakers[self.index].release(pass);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use shop_resilience::RetryReason;

    use super::*;

    fn two_replicas() -> Arc<Peer> {
        let addresses = ["h:1".to_owned(), "h:2".to_owned()];
        let metrics = Metrics::new("cart", "cart-0");
        Arc::new(Peer::new(
            Role::Product,
            &addresses,
            7,
            &metrics,
            Switches::default(),
        ))
    }

    /// Makes a replica fail until its breaker opens.
    fn fail(peer: &Arc<Peer>, index: usize, now: Moment) {
        let other = 1 - index;
        while peer.known().breakers[index].state() == BreakerState::Closed {
            let guard = peer.pick(now, &[other], true).unwrap();
            assert_eq!(guard.index(), index);
            let failed = Outcome::Retryable {
                reason: RetryReason::Reset,
                retry_after: None,
            };
            guard.finish(now, Duration::from_millis(1), failed);
        }
    }

    #[test]
    fn a_hedge_goes_to_another_replica_and_never_into_an_open_breaker() {
        let peer = two_replicas();
        let now = Moment::after_origin(Duration::from_secs(60));
        for first in [0, 1] {
            let guard = peer.hedge(now, first, true, None).unwrap();
            assert_eq!(guard.index(), 1 - first);
        }
        fail(&peer, 1, now);
        assert_eq!(peer.hedge(now, 0, true, None).unwrap().index(), 0);
        // Its time is over, but it waits for a probe, and a hedge must not be one.
        let later = now + Duration::from_secs(2);
        assert_eq!(peer.hedge(later, 0, true, None).unwrap().index(), 0);
        assert_eq!(peer.hedge(later, 0, false, None).unwrap().index(), 1);
        fail(&peer, 0, now);
        assert!(peer.hedge(now, 0, true, None).is_none());
    }

    #[test]
    fn a_hedge_that_is_cancelled_changes_nothing_and_costs_a_token() {
        let peer = two_replicas();
        let now = Moment::after_origin(Duration::from_secs(60));
        let mut sent = 0;
        while let Some(guard) = peer.hedge(now, 0, true, None) {
            assert_eq!(peer.known().balancer.in_flight(1), 1);
            drop(guard);
            sent += 1;
        }
        assert_eq!(sent, 100, "the floor of the retries' budget");
        let known = peer.known();
        assert_eq!(known.balancer.in_flight(1), 0);
        assert_eq!(known.breakers[1].state(), BreakerState::Closed);
    }
}
