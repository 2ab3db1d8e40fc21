//! The replicas of each role that may be called, with what is known of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{counter, gauge};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use shop_contract::Role;
use shop_resilience::{
    Admission, BalanceConfig, Balancer, Breaker, BreakerConfig, BreakerState, Moment, NoRetry,
    Outcome, Pass, RetryBudget, RetryBudgetConfig, RetryPolicy, Tried,
};

use crate::config::ServiceConfig;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::names;

/// Every peer by role.
pub(crate) struct Peers(BTreeMap<Role, Arc<Peer>>);

impl Peers {
    /// The peers of a service. Draws for balancing and jitter are seeded with who asks and who is asked.
    pub(crate) fn new(config: &ServiceConfig, metrics: &Metrics) -> Self {
        let peers = config.peers.iter().map(|(&role, addresses)| {
            let seed = config.shop.seed
                ^ ((config.role as u64) << 32 | u64::from(config.replica) << 16 | role as u64);
            (role, Arc::new(Peer::new(role, addresses, seed, metrics)))
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
    metrics: Metrics,
}

struct Known {
    breakers: Vec<Breaker>,
    balancer: Balancer,
    budget: RetryBudget,
    draws: ChaCha8Rng,
}

impl Peer {
    fn new(role: Role, addresses: &[String], seed: u64, metrics: &Metrics) -> Self {
        let known = Known {
            breakers: addresses
                .iter()
                .map(|_| Breaker::new(BreakerConfig::default()))
                .collect(),
            balancer: Balancer::new(BalanceConfig::default(), addresses.len()),
            budget: RetryBudget::new(RetryBudgetConfig::default()),
            draws: ChaCha8Rng::seed_from_u64(seed),
        };
        let peer = Self {
            role,
            addresses: addresses.to_vec(),
            known: Mutex::new(known),
            metrics: metrics.clone(),
        };
        for index in 0..addresses.len() {
            peer.show_breaker(index, BreakerState::Closed);
        }
        peer.metrics.record(|| {
            counter!(names::RETRIES, "server_address" => role.name()).increment(0);
        });
        peer
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call, on which the retry budget grows.
    pub(crate) fn record_request(&self, now: Moment) {
        self.known().budget.record_request(now);
    }

    /// Asks for another try.
    pub(crate) fn may_retry(
        &self,
        policy: &RetryPolicy,
        tried: impl FnOnce(f64) -> Tried,
    ) -> Result<Duration, NoRetry> {
        let mut known = self.known();
        let draw = known.draws.random();
        policy.may_retry(&tried(draw), &mut known.budget)
    }

    /// Chooses a replica, other than those that were tried where that is possible. `None`: all breakers are open.
    pub(crate) fn pick(
        self: &Arc<Self>,
        now: Moment,
        tried: &[usize],
        breakers: bool,
    ) -> Option<Turn> {
        let mut known = self.known();
        let all = 0..self.addresses.len();
        let (index, pass) = if breakers {
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
                Admission::Yes(pass) => (index, Some(pass)),
                Admission::Probe(pass) => {
                    self.show_breaker(index, known.breakers[index].state());
                    (index, Some(pass))
                }
                Admission::No { .. } => return None,
            }
        } else {
            let all: Vec<usize> = all.collect();
            (known.choose(now, &all, tried)?, None)
        };
        known.balancer.started(index);
        drop(known);
        Some(Turn {
            peer: Arc::clone(self),
            index,
            pass,
            told: false,
        })
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

/// One attempt's hold on a replica. Dropped without a result (the attempt was cancelled), it gives everything back
/// and says nothing about the replica.
pub(crate) struct Turn {
    peer: Arc<Peer>,
    index: usize,
    pass: Option<Pass>,
    told: bool,
}

impl Turn {
    /// Which replica.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Its `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.peer.addresses[self.index]
    }

    /// Tells how it went.
    pub(crate) fn finish(mut self, now: Moment, took: Duration, outcome: Outcome) {
        self.told = true;
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

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.told {
            let mut known = self.peer.known();
            known.balancer.abandoned(self.index);
            if let Some(pass) = self.pass.take() {
                known.breakers[self.index].release(pass);
            }
        }
    }
}
