//! Hedging: a read that takes longer than nearly all of its kind is sent a second time.
//!
//! "The Tail at Scale" (Dean and Barroso 2013): a second request after the 95th percentile costs 5 % more load and
//! removes most of the tail, when slowness is due to the replica or to chance. When everything is slow it does not
//! help. Two bounds hold it then: the quantile, which moves up with the observations, and the tokens of the
//! [`RetryBudget`], which retries use as well.

use std::time::Duration;

use crate::budget::RetryBudget;
use crate::deadline::Deadline;
use crate::moment::Moment;
use crate::window::Window;

/// When a read is sent a second time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HedgeConfig {
    /// The share of reads that are quicker than the delay, 0.95: one in twenty is sent twice. With less the cost grows
    /// in proportion; with more the second request comes too late to help the 99th percentile.
    pub quantile: f64,
    /// Nothing is hedged before this many reads of its kind were observed, 50: at 0.95 two or three of them are slower,
    /// the fewest that support an estimate.
    pub min_samples: u64,
    /// The delay is at least this, 5 ms: below it scheduling jitter exceeds the possible gain.
    pub floor: Duration,
    /// Observations count for this long, 30 s: a slow minute moves the quantile in time, and two reads a second give
    /// enough samples.
    pub window: Duration,
}

impl Default for HedgeConfig {
    fn default() -> Self {
        Self {
            quantile: 0.95,
            min_samples: 50,
            floor: Duration::from_millis(5),
            window: Duration::from_secs(30),
        }
    }
}

/// How long reads of one kind took lately, and how long to wait before one is sent again.
///
/// A kind is a peer and a route template: a search takes longer than a look at one product. Memory is constant, about 2
/// KiB, for any number of reads.
#[derive(Debug, Clone)]
pub struct Hedge {
    config: HedgeConfig,
    window: Window<Latencies>,
}

/// Why a read is not sent a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoHedge {
    /// There is no time for another try.
    DeadlineNear,
    /// The budget is spent: the peer has a problem, not this read.
    BudgetSpent,
}

/// Buckets of a histogram, a quarter of a doubling each: the estimate is at most 19 % too high.
const BUCKETS: usize = 60;
const BUCKETS_PER_DOUBLING: f64 = 4.0;
/// The upper bound of the first bucket. The last bound is 2^14.75 times that, about 14 s, beyond any useful delay.
const FIRST: Duration = Duration::from_micros(500);
/// Slots of the window: a sixth of it is forgotten at a time.
const SLOTS: u32 = 6;

#[derive(Debug, Clone, Copy)]
struct Latencies([u32; BUCKETS]);

impl Default for Latencies {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

impl Hedge {
    /// No observations, so nothing is hedged.
    pub fn new(config: HedgeConfig) -> Self {
        Self {
            config,
            window: Window::new(config.window, SLOTS, SLOTS as usize),
        }
    }

    /// A first try was answered after this time, or given up after it because its hedge was quicker.
    ///
    /// Report both. Without the tries that lost, each hedge would make the rest look quicker, and soon everything would
    /// be sent twice. A try that was given up took at least as long as the delay, so it counts above the quantile, as
    /// it would have in the end. Do not report hedges: they are a selection of the quicker ones.
    pub fn observe(&mut self, now: Moment, took: Duration) {
        let slot = self.window.at(now);
        let count = &mut slot.0[bucket(took)];
        *count = count.saturating_add(1);
    }

    /// How long to wait for a first try before a second one is worth sending. `None`: too few observations.
    pub fn patience(&mut self, now: Moment) -> Option<Duration> {
        self.window.at(now);
        let mut seen = [0u64; BUCKETS];
        for slot in self.window.newest_first() {
            for (sum, count) in seen.iter_mut().zip(slot.0) {
                *sum += u64::from(count);
            }
        }
        let total: u64 = seen.iter().sum();
        if total == 0 || total < self.config.min_samples {
            return None;
        }
        let rank = (self.config.quantile * total as f64).ceil() as u64;
        let mut below = 0;
        let reached = seen.iter().position(|count| {
            below += count;
            below >= rank
        });
        let at = reached.map_or(Duration::MAX, upper_bound);
        Some(at.max(self.config.floor))
    }
}

/// Whether to send a second request, now that the delay is over. A yes takes a budget token, so call it last, when a
/// replica is available.
///
/// # Errors
/// The first reason against it.
pub fn may_hedge(
    now: Moment,
    deadline: Option<Deadline>,
    budget: &mut RetryBudget,
) -> Result<(), NoHedge> {
    if deadline.is_some_and(|d| !d.admits(now, Deadline::FLOOR)) {
        return Err(NoHedge::DeadlineNear);
    }
    if !budget.try_withdraw(now) {
        return Err(NoHedge::BudgetSpent);
    }
    Ok(())
}

fn bucket(took: Duration) -> usize {
    let doublings = (took.as_secs_f64() / FIRST.as_secs_f64()).log2();
    // The cast puts values below zero, and the infinite one of a latency of zero, into the first bucket.
    ((doublings * BUCKETS_PER_DOUBLING).ceil() as usize).min(BUCKETS - 1)
}

fn upper_bound(bucket: usize) -> Duration {
    FIRST.mul_f64((bucket as f64 / BUCKETS_PER_DOUBLING).exp2())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_is_at_most_its_bound_and_hardly_less() {
        for us in [1, 499, 500, 501, 1000, 5_000, 77_777, 1_000_000, 13_000_000] {
            let took = Duration::from_micros(us);
            let bound = upper_bound(bucket(took));
            assert!(
                bound + Duration::from_nanos(10) >= took,
                "{took:?} in {bound:?}"
            );
            assert!(
                bound <= took.mul_f64(1.2).max(FIRST),
                "{took:?} in {bound:?}"
            );
        }
        assert_eq!(bucket(Duration::ZERO), 0);
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
    }
}
