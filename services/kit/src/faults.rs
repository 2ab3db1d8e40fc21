//! Faults held at their target, each with a time to live.
//!
//! Whoever asked for a fault may die; the fault ends all the same, because its end is decided here, against this
//! process's clock, at every request. What a fault does to one request is decided by pure code (`Fault::touch`)
//! over a passed-in time and seeded draws; the server stack then does it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use metrics::{counter, gauge};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use shop_contract::faults::{FaultEffect, FaultOrder, FaultState, FaultStates, MAX_TTL_MS};

use crate::telemetry::metrics::Metrics;
use crate::telemetry::names;

/// How many ended faults are remembered, so that an injector that asks late still learns the hits.
const REMEMBERED: usize = 100;

/// Why a fault was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultRefused {
    /// A name that is in force already.
    #[error("a fault named `{0}` is in force already; end it first or choose another name")]
    NameTaken(String),
    /// A figure that cannot be.
    #[error("{0}")]
    Invalid(String),
}

/// One fault.
#[derive(Debug)]
struct Fault {
    order: FaultOrder,
    ends: Instant,
    hits: u64,
    draws: ChaCha8Rng,
}

impl Fault {
    fn new(order: FaultOrder, now: Instant) -> Self {
        Self {
            ends: now + Duration::from_millis(order.ttl_ms),
            draws: ChaCha8Rng::seed_from_u64(order.seed),
            hits: 0,
            order,
        }
    }

    /// What this fault does to a request that arrives at `now`.
    fn touch(&mut self, now: Instant) -> Option<Duration> {
        // Both draws are taken for every request: the fate of one does not depend on that of those before it.
        let (share, spread): (f64, f64) = (self.draws.random(), self.draws.random());
        if now >= self.ends || share >= self.order.share {
            return None;
        }
        self.hits += 1;
        let FaultEffect::Latency {
            delay_us,
            jitter_us,
            ..
        } = self.order.effect
        else {
            return None;
        };
        let us = delay_us as f64 + jitter_us as f64 * (2.0 * spread - 1.0);
        Some(Duration::from_micros(us.max(0.0) as u64))
    }

    fn state(&self, now: Instant) -> FaultState {
        FaultState {
            name: self.order.name.clone(),
            kind: self.order.effect.kind().to_owned(),
            hits: self.hits,
            remaining_ms: self.ends.saturating_duration_since(now).as_millis() as u64,
        }
    }
}

#[derive(Default)]
struct Held {
    active: Vec<Fault>,
    ended: Vec<FaultState>,
}

impl Held {
    fn sweep(&mut self, now: Instant, metrics: &Metrics, target: &str) {
        let over = |f: &mut Fault| f.ends <= now;
        for fault in self.active.extract_if(.., over) {
            let mut state = fault.state(now);
            state.remaining_ms = 0;
            show(metrics, target, &state, false);
            tracing::info!(fault = state.name, hits = state.hits, "a fault ended");
            self.ended.push(state);
        }
        let surplus = self.ended.len().saturating_sub(REMEMBERED);
        self.ended.drain(..surplus);
    }
}

/// The faults of one service.
pub struct Faults {
    target: String,
    metrics: Metrics,
    held: Mutex<Held>,
}

impl Faults {
    /// None in force.
    pub fn new(target: &str, metrics: Metrics) -> Self {
        Self {
            target: target.to_owned(),
            metrics,
            held: Mutex::default(),
        }
    }

    fn held(&self, now: Instant) -> MutexGuard<'_, Held> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.sweep(now, &self.metrics, &self.target);
        held
    }

    /// Takes a fault into force.
    ///
    /// # Errors
    /// A name in force already; a time to live, share or jitter that cannot be.
    pub fn inject(&self, order: FaultOrder) -> Result<FaultState, FaultRefused> {
        check(&order)?;
        let now = Instant::now();
        let mut held = self.held(now);
        if held.active.iter().any(|f| f.order.name == order.name) {
            return Err(FaultRefused::NameTaken(order.name));
        }
        tracing::info!(
            fault = order.name,
            kind = order.effect.kind(),
            ttl_ms = order.ttl_ms,
            "a fault is in force"
        );
        let fault = Fault::new(order, now);
        let state = fault.state(now);
        show(&self.metrics, &self.target, &state, true);
        held.active.push(fault);
        Ok(state)
    }

    /// Ends a fault before its time. `None` when none of that name is known; one that is over already is given.
    pub fn clear(&self, name: &str) -> Option<FaultState> {
        let now = Instant::now();
        let mut held = self.held(now);
        for fault in &mut held.active {
            if fault.order.name == name {
                fault.ends = now;
            }
        }
        held.sweep(now, &self.metrics, &self.target);
        held.ended.iter().rev().find(|s| s.name == name).cloned()
    }

    /// Ends all of them.
    pub fn clear_all(&self) -> FaultStates {
        let now = Instant::now();
        let mut held = self.held(now);
        for fault in &mut held.active {
            fault.ends = now;
        }
        held.sweep(now, &self.metrics, &self.target);
        states(&held, now)
    }

    /// All that are in force, and those that ended.
    pub fn states(&self) -> FaultStates {
        let now = Instant::now();
        states(&self.held(now), now)
    }

    /// What is to happen to a request that arrives now: how long it waits, where it waits at all.
    pub fn touch(&self) -> Option<Duration> {
        let now = Instant::now();
        let mut held = self.held(now);
        let mut wait = None;
        for fault in &mut held.active {
            if let Some(delay) = fault.touch(now) {
                wait = Some(wait.unwrap_or(Duration::ZERO) + delay);
                let name = fault.order.name.clone();
                self.metrics
                    .record(|| counter!(names::FAULT_HITS, "fault" => name).increment(1));
            }
        }
        wait
    }
}

fn states(held: &Held, now: Instant) -> FaultStates {
    FaultStates {
        active: held.active.iter().map(|f| f.state(now)).collect(),
        ended: held.ended.clone(),
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

fn check(order: &FaultOrder) -> Result<(), FaultRefused> {
    let invalid = |m: &str| Err(FaultRefused::Invalid(m.to_owned()));
    if order.name.is_empty() {
        return invalid("a fault needs a name");
    }
    if order.ttl_ms == 0 || order.ttl_ms > MAX_TTL_MS {
        return invalid(
            "`ttl_ms` must be from 1 to 3600000: a fault that never ends is not accepted",
        );
    }
    if !(order.share > 0.0 && order.share <= 1.0) {
        return invalid("`share` must be above 0 and at most 1");
    }
    match order.effect {
        FaultEffect::Latency {
            delay_us,
            jitter_us,
            ..
        } if jitter_us > delay_us => invalid("`jitter_us` must be at most `delay_us`"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use shop_contract::faults::{Distribution, Only};

    use super::*;

    fn latency(share: f64, delay_ms: u64, jitter_ms: u64) -> FaultOrder {
        FaultOrder {
            name: "slow".to_owned(),
            ttl_ms: 1000,
            share,
            seed: 7,
            only: Only::default(),
            effect: FaultEffect::Latency {
                delay_us: delay_ms * 1000,
                jitter_us: jitter_ms * 1000,
                distribution: Distribution::Uniform,
            },
        }
    }

    #[test]
    fn delays_lie_within_the_jitter_and_hits_within_the_share() {
        let start = Instant::now();
        let mut fault = Fault::new(latency(0.3, 300, 100), start);
        let delays: Vec<Duration> = (0..10_000).filter_map(|_| fault.touch(start)).collect();
        assert_eq!(delays.len() as u64, fault.hits);
        // Four standard deviations of Binomial(10000, 0.3).
        assert!((2816..=3184).contains(&delays.len()), "{}", delays.len());
        let bounds = Duration::from_millis(200)..=Duration::from_millis(400);
        assert!(delays.iter().all(|d| bounds.contains(d)));
        let mean = delays.iter().sum::<Duration>() / delays.len() as u32;
        assert!(mean.abs_diff(Duration::from_millis(300)) < Duration::from_millis(10));
    }

    #[test]
    fn after_its_time_to_live_a_fault_touches_nothing() {
        let start = Instant::now();
        let mut fault = Fault::new(latency(1.0, 10, 0), start);
        assert!(fault.touch(start + Duration::from_millis(999)).is_some());
        assert!(fault.touch(start + Duration::from_millis(1000)).is_none());
        assert_eq!(fault.hits, 1);
    }

    #[test]
    fn a_name_in_force_and_figures_that_cannot_be_are_refused() {
        let faults = Faults::new("bank", Metrics::new("bank", "bank-0"));
        faults.inject(latency(1.0, 10, 5)).unwrap();
        assert!(matches!(
            faults.inject(latency(1.0, 10, 5)),
            Err(FaultRefused::NameTaken(_))
        ));
        for wrong in [
            FaultOrder {
                ttl_ms: 0,
                ..latency(1.0, 1, 0)
            },
            latency(0.0, 1, 0),
            latency(1.0, 1, 2),
        ] {
            assert!(matches!(
                faults.inject(wrong),
                Err(FaultRefused::Invalid(_))
            ));
        }
    }

    #[test]
    fn a_cleared_fault_tells_its_hits_and_is_gone() {
        let metrics = Metrics::new("bank", "bank-0");
        let faults = Faults::new("bank", metrics.clone());
        faults.inject(latency(1.0, 10, 0)).unwrap();
        assert!(faults.touch().is_some());
        assert!(metrics.render().contains("chaos_fault_active{service_name=\"bank\",service_instance_id=\"bank-0\",fault=\"slow\",kind=\"latency\",target=\"bank\"} 1"));
        assert_eq!(faults.clear("slow").map(|s| s.hits), Some(1));
        assert!(faults.touch().is_none());
        assert!(faults.states().active.is_empty());
        assert!(faults.clear("other").is_none());
    }
}
