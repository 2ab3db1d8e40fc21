//! How long a fault was felt: when the shoppers' figures left the steady state, and when they were back in it.
//!
//! The steady state is what was seen in the [`BEFORE_S`] seconds before the fault: the share of errors, and for
//! each step its typical p90. It is compared with the seconds from the fault's start until recovery, and with no
//! others, so that a rush much later is not held against the fault. These are the rules:
//!
//! - A second is *out* of the steady state when more requests fail than before by [`ERRORS_OVER`] of all, or by
//!   [`STEP_ERRORS_OVER`] of one step; or when the p90 of a step is over twice its baseline and over the baseline
//!   by [`SLOWER_BY_US`]; or when steps were sent and none was answered at all.
//! - *Detected* is the end of the first such second (before it ends, nobody can have seen it), from the fault's start.
//! - *Recovered* is the start of the first [`CALM`] seconds in a row that are not out, from the fault's end. Each
//!   step that had been out must have been taken again in them: silence is no recovery.
//!
//! **Sparse steps.** A slow bank is felt by one step only, taken once or twice a second. So below [`ENOUGH`]
//! requests a second is judged together with up to two before it, and not at all below [`FEW`]. Such a window
//! never reaches over the fault's start or end, and a second that is itself good is not out for those before it.
//!
//! **Limits.** Seconds carry quantiles, not histograms. The typical p90 of several seconds is therefore the median
//! of theirs, one vote a second. It is not the p90 of the whole. But in a sparse second p90 is the slowest request,
//! and so it takes two odd seconds of three to move it, not one odd request. Weights by requests would give that up:
//! one second of three requests would outvote two of one. A sparse second that is alone is judged on its median.
//! Figures are the shop's, not the fault's: while faults overlap, or load rises during recovery, what one causes
//! is counted for the other as well. Seconds with a fault in force are kept out of the baseline where possible.
//! Everything is to the second.
//!
//! The thresholds are this project's own. They were chosen for faults that a shopper would notice against the
//! noise of one machine, where a quiet step's p90 may double from 2 ms to 4 ms and mean nothing.

use std::collections::BTreeSet;

use crate::record::Interval;
pub use crate::steady::{
    BEFORE_S, ENOUGH, ERRORS_OVER, FAILURES, FEW, SLOWER_BY_US, SLOWER_TIMES, STEP_ERRORS_OVER,
};
use crate::steady::{Judgement, ROUNDING_S, SteadyState, requests};

/// Seconds in a row that make a recovery.
pub const CALM: usize = 3;

/// What the figures say of one fault.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recovery {
    /// From the fault's start until the shop was seen out of its steady state; absent when it never was.
    pub detected_s: Option<f64>,
    /// What it was seen by in that second: `errors of buy_confirm`.
    pub detected_by: Vec<String>,
    /// Every step that was out of it at any time until recovery.
    pub steps: BTreeSet<String>,
    /// From the fault's end until the shop was back in it; zero when it never left, absent when it was not seen to
    /// come back, or when there was no steady state to compare with.
    pub recovered_s: Option<f64>,
}

/// Measures one fault, in force from `started_s` to `ended_s`, on the seconds of a run in the order of time.
pub fn measure(intervals: &[Interval], started_s: f64, ended_s: f64) -> Recovery {
    let first = intervals.partition_point(|second| second.t_s <= started_s);
    let after = &intervals[first..];
    let Some(steady) = SteadyState::before(intervals, started_s) else {
        return Recovery::default();
    };
    // The first second that lies wholly after the fault.
    let over = after.partition_point(|second| second.t_s - 1.0 < ended_s - ROUNDING_S);
    let (during, aftermath) = after.split_at(over);

    let mut felt = Felt::default();
    for i in 0..during.len() {
        felt.note(&during[i], started_s, steady.judge(&during[..=i]));
    }
    let mut calm_from = 0;
    for (i, second) in aftermath.iter().enumerate() {
        if felt.note(second, started_s, steady.judge(&aftermath[..=i])) {
            calm_from = i + 1;
        } else if i + 1 - calm_from >= CALM && felt.all_seen_in(&aftermath[calm_from..=i]) {
            let back_s = aftermath[calm_from].t_s - 1.0 - ended_s;
            return felt.recovered(Some(back_s.max(0.0)));
        }
    }
    felt.recovered(None)
}

/// What was felt of the fault so far.
#[derive(Default)]
struct Felt {
    detected_s: Option<f64>,
    detected_by: Vec<String>,
    steps: BTreeSet<String>,
}

impl Felt {
    /// Takes note of one second's judgement; true when it is out of the steady state.
    fn note(&mut self, second: &Interval, started_s: f64, judgement: Judgement<'_>) -> bool {
        if judgement.out {
            if self.detected_s.is_none() {
                self.detected_s = Some(second.t_s - started_s);
                self.detected_by = judgement.signs;
            }
            let steps = judgement.steps.into_iter().map(str::to_owned);
            self.steps.extend(steps);
        }
        judgement.out
    }

    fn all_seen_in(&self, seconds: &[Interval]) -> bool {
        let seen = |step: &String| seconds.iter().any(|s| requests(s, step) > 0);
        self.steps.iter().all(seen) && seconds.iter().any(|second| second.all.requests > 0)
    }

    fn recovered(self, back_s: Option<f64>) -> Recovery {
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
