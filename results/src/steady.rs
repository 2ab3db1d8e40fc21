//! The steady state: what was measured before a fault, and whether a second deviates from it.
//!
//! It is measured in the [`BASELINE_S`] seconds before the fault, never assumed. It consists of the share of errors,
//! and of the typical p90 of each step. [`crate::recovery`] explains the rules and their limits.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::{Interval, StepInterval, StepSteady};

/// How many seconds before a fault make its baseline. Long enough for ten samples of a sparse step, short enough that a
/// ramp has not changed the load much.
pub const BASELINE_S: f64 = 10.0;

/// Allowed increase of failed requests over the baseline, as a share of all requests. A 99 % service level allows half
/// of it.
pub const ERRORS_OVER: f64 = 0.02;

/// Allowed increase of failed requests of one step, as a share of that step. Wider, because its counts are small.
pub const STEP_ERRORS_OVER: f64 = 0.10;

/// The least number of failures that counts. A single failure may be chance.
pub const MIN_FAILURES: u64 = 2;

/// A p90 deviates if it exceeds this many times its baseline …
pub const SLOWER_TIMES: u64 = 2;

/// … and exceeds the baseline by this much: about what a person begins to notice.
pub const SLOWER_BY_US: u64 = 50_000;

/// With this many requests of a step, a second is judged alone: its p90 has two samples above it.
pub const ENOUGH_REQUESTS: u64 = 20;

/// With fewer requests of a step in a window, the step is not judged.
pub const MIN_REQUESTS: u64 = 3;

/// Seconds in a window for sparse steps.
const WINDOW_SECONDS: usize = 3;

/// If this many steps were sent in a second and none was completed, the shop hangs. With fewer it may just be idle.
const MIN_SENDS_TO_HANG: u64 = 5;

/// The least number of seconds for a baseline.
const MIN_BASELINE: usize = 3;

/// Ends of seconds and of faults are computed in different ways from one clock. Times this close are equal.
pub(crate) const ROUNDING_S: f64 = 0.001;

/// The measurements before a fault.
pub(crate) struct SteadyState<'r> {
    /// Share of failed requests, all steps together.
    pub(crate) error_ratio: f64,
    /// Each step that was taken often enough.
    pub(crate) steps: BTreeMap<String, StepSteady>,
    /// The seconds of the baseline.
    pub(crate) seconds: Vec<&'r Interval>,
}

/// Whether a second deviates from the steady state, and in what.
#[derive(Default)]
pub(crate) struct Judgement<'s> {
    pub(crate) deviates: bool,
    /// The steps that deviate.
    pub(crate) steps: Vec<&'s str>,
    /// In words: `errors of buy_confirm`, `p90 of home`.
    pub(crate) deviations: Vec<String>,
}

impl<'r> SteadyState<'r> {
    /// Uses the measured seconds without a fault, else all seconds without a fault, else all seconds.
    pub(crate) fn before(intervals: &'r [Interval], started_s: f64) -> Option<Self> {
        let recent = intervals.partition_point(|second| second.t_s <= started_s - BASELINE_S);
        let first = intervals.partition_point(|second| second.t_s <= started_s);
        let all: Vec<&'r Interval> = intervals[recent..first].iter().collect();
        let filtered = |keep: fn(&Interval) -> bool| -> Vec<&'r Interval> {
            all.iter().copied().filter(|second| keep(second)).collect()
        };
        let seconds = [
            filtered(|second| second.measure && second.faults.is_empty()),
            filtered(|second| second.faults.is_empty()),
        ]
        .into_iter()
        .find(|seconds| seconds.len() >= MIN_BASELINE)
        .unwrap_or(all);

        let mut names: BTreeSet<&String> = BTreeSet::new();
        names.extend(seconds.iter().flat_map(|second| second.steps.keys()));
        let mut steps = BTreeMap::new();
        for name in names {
            let rows: Vec<&StepInterval> = rows(&seconds, name);
            let (requests, failed) = counts(&rows);
            if requests >= MIN_REQUESTS {
                let state = StepSteady {
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
            seconds,
        })
    }

    /// The longest p90, in microseconds, that is still steady. `None` for a step without a baseline.
    pub(crate) fn slowest_us(&self, step: &str) -> Option<u64> {
        let p90_us = self.steps.get(step)?.p90_us;
        Some((p90_us * SLOWER_TIMES).max(p90_us + SLOWER_BY_US))
    }

    /// Judges the last of some seconds. Sparse steps are judged together with the seconds before it.
    pub(crate) fn judge<'s>(&self, seconds: &'s [Interval]) -> Judgement<'s> {
        let Some(last) = seconds.last() else {
            return Judgement::default();
        };
        let mut judgement = Judgement::default();
        for (step, row) in &last.steps {
            if row.requests == 0 {
                continue;
            }
            if let Some(deviation) = self.deviation_of(step, seconds) {
                judgement.steps.push(step);
                judgement.deviations.push(format!("{deviation} of {step}"));
            }
        }
        let all = &last.all;
        let failing = all.failed >= MIN_FAILURES
            && ratio(all.failed, all.requests) > self.error_ratio + ERRORS_OVER;
        let hanging = all.requests == 0 && last.sent >= MIN_SENDS_TO_HANG;
        if hanging {
            judgement
                .deviations
                .push("silence of the whole shop".to_owned());
        } else if failing
            && !judgement
                .deviations
                .iter()
                .any(|deviation| deviation.starts_with("errors"))
        {
            judgement.deviations.push("errors of all steps".to_owned());
        }
        judgement.deviates = !judgement.deviations.is_empty();
        judgement
    }

    /// How a step deviates from its steady state, if it does.
    fn deviation_of(&self, step: &str, seconds: &[Interval]) -> Option<&'static str> {
        // A step that was never taken before has no baseline.
        let steady = self.steps.get(step)?;
        let rows: Vec<&StepInterval> = match seconds {
            [.., last] if requests(last, step) >= ENOUGH_REQUESTS => rows(&[last], step),
            _ => {
                let window = &seconds[seconds.len().saturating_sub(WINDOW_SECONDS)..];
                rows(&window.iter().collect::<Vec<_>>(), step)
            }
        };
        let (requests, failed) = counts(&rows);
        let (Some(own), true) = (rows.last(), requests >= MIN_REQUESTS) else {
            return None;
        };
        let failing = own.failed > 0
            && failed >= MIN_FAILURES
            && ratio(failed, requests) > steady.error_ratio + STEP_ERRORS_OVER;
        let slowest = self.slowest_us(step)?;
        let p90 = match rows[..] {
            [alone] if requests < ENOUGH_REQUESTS => alone.response_us.p50,
            _ => typical_p90(&rows),
        };
        let slow = own.response_us.p90.min(p90) > slowest;
        match (failing, slow) {
            (true, _) => Some("errors"),
            (false, true) => Some("p90"),
            (false, false) => None,
        }
    }
}

pub(crate) fn requests(second: &Interval, step: &str) -> u64 {
    second.steps.get(step).map_or(0, |row| row.requests)
}

/// The rows of a step, from the seconds in which it was taken.
fn rows<'s>(seconds: &[&'s Interval], step: &str) -> Vec<&'s StepInterval> {
    let rows = seconds.iter().filter_map(|second| second.steps.get(step));
    rows.filter(|row| row.requests > 0).collect()
}

fn counts(rows: &[&StepInterval]) -> (u64, u64) {
    let requests = rows.iter().map(|row| row.requests).sum();
    let failed = rows.iter().map(|row| row.failed).sum();
    (requests, failed)
}

pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// The median of the seconds' p90, the lower one of two.
fn typical_p90(rows: &[&StepInterval]) -> u64 {
    let mut p90: Vec<u64> = rows.iter().map(|row| row.response_us.p90).collect();
    p90.sort_unstable();
    let middle = p90.len().saturating_sub(1) / 2;
    p90.get(middle).copied().unwrap_or(0)
}
