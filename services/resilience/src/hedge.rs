//! Hedging: a read that takes longer than nearly all of its kind is asked for a second time.
//!
//! "The Tail at Scale" (Dean and Barroso 2013): a second request after the 95th percentile costs 5 % more load and
//! takes most of the tail away, when slowness is a matter of the replica or of luck. When everything has become slow
//! it is of no use, and is bounded twice: by the quantile, which moves up with what is seen, and by the tokens of the
//! [`RetryBudget`], the very ones that retries are paid with.

use std::time::Duration;

use crate::budget::RetryBudget;
use crate::deadline::Deadline;
use crate::moment::Moment;
use crate::window::Window;

/// When a read is asked for a second time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HedgeConfig {
    /// The share of reads that are quicker than what is waited for, 0.95: one in twenty is asked for twice. With less
    /// the cost grows in proportion; with more the second one comes too late to help with the 99th percentile.
    pub quantile: f64,
    /// Nothing is asked for twice before so many reads of its kind were seen, 50: at 0.95 two or three of them are
    /// slower, the fewest on which an estimate can rest.
    pub min_samples: u64,
    /// It is never waited for less than this, 5 ms: below it a scheduler's hiccup is longer than what can be won.
    pub floor: Duration,
    /// What was seen counts for this long, 30 s: a minute's slowness moves the quantile within it, and at two reads a
    /// second there still are enough samples.
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

/// How long reads of one kind took lately, and with it how long to wait before one is asked for again.
///
/// A kind is a peer and a route template: a search takes longer than a look at one product. The memory is constant,
/// some 2 KiB, however many reads there are.
#[derive(Debug, Clone)]
pub struct Hedge {
    config: HedgeConfig,
    window: Window<Latencies>,
}

/// Why a read is not asked for a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoHedge {
    /// There is no time for another try.
    DeadlineNear,
    /// The budget is spent: the peer is in trouble, and not this read.
    BudgetSpent,
}

/// Buckets of a histogram, a quarter of a doubling each: the estimate is at most 19 % above the truth.
const BUCKETS: usize = 60;
const BUCKETS_PER_DOUBLING: f64 = 4.0;
/// Where the first bucket ends; the last one ends at 2^14.75 times that, some 14 s, past all that is ever waited for.
const FIRST: Duration = Duration::from_micros(500);
/// Slots of the window: with each, a sixth of it is forgotten.
const SLOTS: u32 = 6;

#[derive(Debug, Clone, Copy)]
struct Latencies([u32; BUCKETS]);

impl Default for Latencies {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

impl Hedge {
    /// Nothing seen so far, so nothing is asked for twice.
    pub fn new(config: HedgeConfig) -> Self {
        Self {
            config,
            window: Window::new(config.window, SLOTS, SLOTS as usize),
        }
    }

    /// A first try was answered after so long, or given up after it because its hedge was quicker.
    ///
    /// Report both: were those that lost left out, each hedge would make the rest look quicker, and soon everything
    /// would be asked for twice. What was given up took at least as long as was waited, so it is above the quantile as
    /// it would have been in the end. Do not report hedges: they are a choice of the luckier ones.
    pub fn observe(&mut self, now: Moment, took: Duration) {
        let slot = self.window.at(now);
        let count = &mut slot.0[bucket(took)];
        *count = count.saturating_add(1);
    }

    /// How long a first try is waited for before a second one is worth asking for. `None` while too little is known.
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

/// Whether to ask a second time, now that patience is over. A token of the budget is taken when the answer is yes, so
/// ask last: when a replica is there to be asked.
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
    // The cast sends what is below zero, and the infinite one of a latency of zero, to the first bucket.
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
