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

use std::collections::{BTreeMap, BTreeSet};

use crate::record::{Interval, StepInterval};

/// How far back the steady state is looked for. Long enough for ten samples of a sparse step, short enough that a
/// ramp has not changed the load much.
pub const BEFORE_S: f64 = 10.0;

/// Failed requests over the baseline, as a share of all: twice what a service level of 99 % forgives.
pub const ERRORS_OVER: f64 = 0.02;

/// Failed requests of one step over its baseline, as a share of that step. Wider, for its counts are small.
pub const STEP_ERRORS_OVER: f64 = 0.10;

/// One failure is an accident; this many are not.
pub const FAILURES: u64 = 2;

/// A p90 is out when it is over this many times its baseline …
pub const SLOWER_TIMES: u64 = 2;

/// … and over the baseline by this much: about what a person begins to notice.
pub const SLOWER_BY_US: u64 = 50_000;

/// A second with as many requests of a step speaks for itself: its p90 has two samples above it.
pub const ENOUGH: u64 = 20;

/// With fewer requests of a step in a window nothing is said about it.
pub const FEW: u64 = 3;

/// Seconds in a window for sparse steps.
const WINDOW: usize = 3;

/// Seconds in a row that make a recovery.
pub const CALM: usize = 3;

/// Sent in a second of which nothing is answered, so that the shop hangs rather than idles.
const UNANSWERED: u64 = 5;

/// Seconds that make a baseline.
const LEAST_BASELINE: usize = 3;

/// What the figures say of one fault.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Recovery {
    /// From the fault's start until the shop was seen out of its steady state; absent when it never was.
    pub detected_s: Option<f64>,
    /// From the fault's end until the shop was back in it; zero when it never left, absent when it was not seen to
    /// come back, or when there was no steady state to compare with.
    pub recovered_s: Option<f64>,
}

/// Measures one fault, in force from `started_s` to `ended_s`, on the seconds of a run in the order of time.
pub fn measure(intervals: &[Interval], started_s: f64, ended_s: f64) -> Recovery {
    let first = intervals.partition_point(|second| second.t_s <= started_s);
    let (before, after) = intervals.split_at(first);
    let Some(steady) = SteadyState::before(before, started_s) else {
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

/// Ends of seconds and of faults come from one clock by different ways; this much apart they are the same.
const ROUNDING_S: f64 = 0.001;

/// What was felt of the fault so far.
#[derive(Default)]
struct Felt {
    detected_s: Option<f64>,
    steps: BTreeSet<String>,
}

impl Felt {
    /// Takes note of one second's judgement; true when it is out of the steady state.
    fn note(&mut self, second: &Interval, started_s: f64, judgement: Judgement<'_>) -> bool {
        if judgement.out {
            self.detected_s.get_or_insert(second.t_s - started_s);
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
            recovered_s: match self.detected_s {
                None => Some(0.0),
                Some(_) => back_s,
            },
        }
    }
}

/// Whether a second is out of the steady state, and by which steps.
#[derive(Default)]
struct Judgement<'s> {
    out: bool,
    steps: Vec<&'s str>,
}

/// The figures before the fault.
struct SteadyState {
    error_ratio: f64,
    steps: BTreeMap<String, StepState>,
}

struct StepState {
    error_ratio: f64,
    p90_us: u64,
}

impl SteadyState {
    /// From the measured seconds without a fault, else from those without a fault, else from all there are.
    fn before(intervals: &[Interval], started_s: f64) -> Option<Self> {
        let recent = intervals.partition_point(|second| second.t_s <= started_s - BEFORE_S);
        let all: Vec<&Interval> = intervals[recent..].iter().collect();
        let kept = |keep: fn(&Interval) -> bool| -> Vec<&Interval> {
            all.iter().copied().filter(|second| keep(second)).collect()
        };
        let seconds = [
            kept(|second| second.measure && second.faults.is_empty()),
            kept(|second| second.faults.is_empty()),
        ]
        .into_iter()
        .find(|seconds| seconds.len() >= LEAST_BASELINE)
        .unwrap_or(all);

        let mut names: BTreeSet<&String> = BTreeSet::new();
        names.extend(seconds.iter().flat_map(|second| second.steps.keys()));
        let mut steps = BTreeMap::new();
        for name in names {
            let rows: Vec<&StepInterval> = rows(&seconds, name);
            let (requests, failed) = counts(&rows);
            if requests >= FEW {
                let state = StepState {
                    error_ratio: ratio(failed, requests),
                    p90_us: typical_p90(&rows),
                };
                steps.insert(name.clone(), state);
            }
        }
        let all: Vec<&StepInterval> = seconds.iter().map(|second| &second.all).collect();
        let (requests, failed) = counts(&all);
        (requests > 0).then(|| Self {
            error_ratio: ratio(failed, requests),
            steps,
        })
    }

    /// Judges the last of some seconds, which may be seen together with those before it.
    fn judge<'s>(&self, seconds: &'s [Interval]) -> Judgement<'s> {
        let Some(last) = seconds.last() else {
            return Judgement::default();
        };
        let steps: Vec<&str> = last
            .steps
            .iter()
            .filter(|(_, row)| row.requests > 0)
            .map(|(name, _)| name.as_str())
            .filter(|name| self.step_is_out(name, seconds))
            .collect();
        let all = &last.all;
        let failing = all.failed >= FAILURES
            && ratio(all.failed, all.requests) > self.error_ratio + ERRORS_OVER;
        let hanging = all.requests == 0 && last.sent >= UNANSWERED;
        Judgement {
            out: failing || hanging || !steps.is_empty(),
            steps,
        }
    }

    fn step_is_out(&self, step: &str, seconds: &[Interval]) -> bool {
        let Some(steady) = self.steps.get(step) else {
            return false; // Never taken before the fault, so nothing is known of how it should be.
        };
        let rows: Vec<&StepInterval> = match seconds {
            [.., last] if requests(last, step) >= ENOUGH => rows(&[last], step),
            _ => {
                let window = &seconds[seconds.len().saturating_sub(WINDOW)..];
                rows(&window.iter().collect::<Vec<_>>(), step)
            }
        };
        let (requests, failed) = counts(&rows);
        let (Some(own), true) = (rows.last(), requests >= FEW) else {
            return false;
        };
        let failing = own.failed > 0
            && failed >= FAILURES
            && ratio(failed, requests) > steady.error_ratio + STEP_ERRORS_OVER;
        let slowest = (steady.p90_us * SLOWER_TIMES).max(steady.p90_us + SLOWER_BY_US);
        let seen = match rows[..] {
            [alone] if requests < ENOUGH => alone.response_us.p50,
            _ => typical_p90(&rows),
        };
        failing || own.response_us.p90.min(seen) > slowest
    }
}

fn requests(second: &Interval, step: &str) -> u64 {
    second.steps.get(step).map_or(0, |row| row.requests)
}

/// The seconds' figures of a step, where it was taken.
fn rows<'s>(seconds: &[&'s Interval], step: &str) -> Vec<&'s StepInterval> {
    let rows = seconds.iter().filter_map(|second| second.steps.get(step));
    rows.filter(|row| row.requests > 0).collect()
}

fn counts(rows: &[&StepInterval]) -> (u64, u64) {
    let requests = rows.iter().map(|row| row.requests).sum();
    let failed = rows.iter().map(|row| row.failed).sum();
    (requests, failed)
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// The median of the seconds' p90; the lower one of two.
fn typical_p90(rows: &[&StepInterval]) -> u64 {
    let mut p90: Vec<u64> = rows.iter().map(|row| row.response_us.p90).collect();
    p90.sort_unstable();
    let middle = p90.len().saturating_sub(1) / 2;
    p90.get(middle).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests;
