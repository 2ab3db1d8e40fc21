//! How long a fault was felt: when the shoppers' measurements left the steady state, and when they were back.
//!
//! The steady state is measured in the [`BASELINE_S`] seconds before the fault: the share of errors, and the typical
//! p90 of each step. It is compared only with the seconds from the fault's start until recovery, so a rush much later
//! is not charged to the fault. The rules:
//!
//! - A second *deviates* when the share of failed requests exceeds the baseline by [`ERRORS_OVER`] of all or by
//!   [`STEP_ERRORS_OVER`] of one step; or when the p90 of a step is over twice its baseline and [`SLOWER_BY_US`] above
//!   it; or when steps were sent and none was completed.
//! - *Detected* is the time from the fault's start to the end of the first such second, because nobody can see it
//!   earlier.
//! - *Recovered* is the time from the fault's end to the start of the first [`RECOVERY_SECONDS`] seconds in a row that
//!   do not deviate. Each step that had deviated must have been taken in them: silence is no recovery.
//!
//! **Sparse steps.** A slow bank affects only one step, which is taken once or twice a second. So a second with fewer
//! than [`ENOUGH_REQUESTS`] requests is judged together with up to two seconds before it, and not at all with fewer
//! than [`MIN_REQUESTS`]. Such a window never crosses the fault's start or end. A second that is good by itself does
//! not deviate because of those before it.
//!
//! **Limits.** Seconds carry quantiles, not histograms. The typical p90 of several seconds is therefore the median of
//! their p90, one vote per second, and not the p90 of the whole. In a sparse second the p90 is the slowest request, so
//! two odd seconds of three are needed to move the median, not one odd request. Weights by requests would lose that:
//! one second of three requests would outvote two seconds of one. A single sparse second is judged on its median. The
//! measurements are those of the shop: while faults overlap, or load rises during recovery, effects of one cause also
//! count for the other. Seconds with a fault in force are kept out of the baseline if possible. All times are precise
//! to a second.
//!
//! The thresholds are this project's own. They detect faults that a shopper would notice, and ignore the noise of one
//! machine, where the p90 of a quiet step may double from 2 ms to 4 ms without meaning.

use std::collections::BTreeSet;

use crate::record::Interval;
pub use crate::steady::{
    BASELINE_S, ENOUGH_REQUESTS, ERRORS_OVER, MIN_FAILURES, MIN_REQUESTS, SLOWER_BY_US,
    SLOWER_TIMES, STEP_ERRORS_OVER,
};
use crate::steady::{Judgement, ROUNDING_S, SteadyState, requests};

/// How many seconds in a row make a recovery.
pub const RECOVERY_SECONDS: usize = 3;

/// How long a fault was felt, and in what.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recovery {
    /// From the fault's start until the shop deviated from its steady state. `None` if it never did.
    pub detected_s: Option<f64>,
    /// What deviated in that second: `errors of buy_confirm`.
    pub detected_by: Vec<String>,
    /// Every step that deviated at any time until recovery.
    pub steps: BTreeSet<String>,
    /// From the fault's end until the shop was back in its steady state. Zero if it never left it. `None` if it was not
    /// seen to come back, or if there was no baseline.
    pub recovered_s: Option<f64>,
}

/// Measures one fault, in force from `started_s` to `ended_s`. `intervals` are the seconds of a run in order of time.
pub fn measure(intervals: &[Interval], started_s: f64, ended_s: f64) -> Recovery {
    let first = intervals.partition_point(|second| second.t_s <= started_s);
    let after = &intervals[first..];
    let Some(steady) = SteadyState::before(intervals, started_s) else {
        return Recovery::default();
    };
    // The first second that lies completely after the fault.
    let over = after.partition_point(|second| second.t_s - 1.0 < ended_s - ROUNDING_S);
    let (during, aftermath) = after.split_at(over);

    let mut deviations = Deviations::default();
    for i in 0..during.len() {
        deviations.add(&during[i], started_s, steady.judge(&during[..=i]));
    }
    let mut steady_from = 0;
    for (i, second) in aftermath.iter().enumerate() {
        if deviations.add(second, started_s, steady.judge(&aftermath[..=i])) {
            steady_from = i + 1;
        } else if i + 1 - steady_from >= RECOVERY_SECONDS
            && deviations.all_taken_in(&aftermath[steady_from..=i])
        {
            let back_s = aftermath[steady_from].t_s - 1.0 - ended_s;
            return deviations.into_recovery(Some(back_s.max(0.0)));
        }
    }
    deviations.into_recovery(None)
}

/// The deviations since the fault's start.
#[derive(Default)]
struct Deviations {
    detected_s: Option<f64>,
    detected_by: Vec<String>,
    steps: BTreeSet<String>,
}

impl Deviations {
    /// Adds the judgement of one second. Returns true if it deviates.
    fn add(&mut self, second: &Interval, started_s: f64, judgement: Judgement<'_>) -> bool {
        if judgement.deviates {
            if self.detected_s.is_none() {
                self.detected_s = Some(second.t_s - started_s);
                self.detected_by = judgement.deviations;
            }
            let steps = judgement.steps.into_iter().map(str::to_owned);
            self.steps.extend(steps);
        }
        judgement.deviates
    }

    fn all_taken_in(&self, seconds: &[Interval]) -> bool {
        let taken = |step: &String| seconds.iter().any(|s| requests(s, step) > 0);
        self.steps.iter().all(taken) && seconds.iter().any(|second| second.all.requests > 0)
    }

    fn into_recovery(self, back_s: Option<f64>) -> Recovery {
        Recovery {
            detected_s: self.detected_s,
            detected_by: self.detected_by,
            steps: self.steps,
            recovered_s: match self.detected_s {
                None => Some(0.0),
                Some(_) => back_s,
            },
        }
    }
}

#[cfg(test)]
mod tests;
