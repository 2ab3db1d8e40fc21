//! The steady state: what was seen before a fault, and whether a second is out of it.
//!
//! It is measured in the [`BEFORE_S`] seconds before the fault, never assumed: the share of errors, and for each step
//! its typical p90. [`crate::recovery`] tells the rules and their limits.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::{Interval, StepInterval, StepSteady};

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

/// Sent in a second of which nothing is answered, so that the shop hangs rather than idles.
const UNANSWERED: u64 = 5;

/// Seconds that make a baseline.
const LEAST_BASELINE: usize = 3;

/// The ends of seconds and of faults come from one clock by different ways. Times this close are the same.
pub(crate) const ROUNDING_S: f64 = 0.001;

/// The figures before the fault.
pub(crate) struct SteadyState<'r> {
    /// Share of failed requests, all steps together.
    pub(crate) error_ratio: f64,
    /// Each step that was taken often enough.
    pub(crate) steps: BTreeMap<String, StepSteady>,
    /// The seconds that it was measured in.
    pub(crate) seconds: Vec<&'r Interval>,
}

/// Whether a second is out of the steady state, and by what.
#[derive(Default)]
pub(crate) struct Judgement<'s> {
    pub(crate) out: bool,
    /// The steps that are.
    pub(crate) steps: Vec<&'s str>,
    /// In words: `errors of buy_confirm`, `p90 of home`.
    pub(crate) signs: Vec<String>,
}

impl<'r> SteadyState<'r> {
    /// From the measured seconds without a fault, else from those without a fault, else from all there are.
    pub(crate) fn before(intervals: &'r [Interval], started_s: f64) -> Option<Self> {
        let recent = intervals.partition_point(|second| second.t_s <= started_s - BEFORE_S);
        let first = intervals.partition_point(|second| second.t_s <= started_s);
        let all: Vec<&'r Interval> = intervals[recent..first].iter().collect();
        let kept = |keep: fn(&Interval) -> bool| -> Vec<&'r Interval> {
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

    /// The longest p90, in microseconds, at which a step is still in its steady state. None for one of which nothing is
    /// known.
    pub(crate) fn slowest_us(&self, step: &str) -> Option<u64> {
        let p90_us = self.steps.get(step)?.p90_us;
        Some((p90_us * SLOWER_TIMES).max(p90_us + SLOWER_BY_US))
    }

    /// Judges the last of some seconds, which may be seen together with those before it.
    pub(crate) fn judge<'s>(&self, seconds: &'s [Interval]) -> Judgement<'s> {
        let Some(last) = seconds.last() else {
            return Judgement::default();
        };
        let mut judgement = Judgement::default();
        for (step, row) in &last.steps {
            if row.requests == 0 {
                continue;
            }
            if let Some(sign) = self.sign_of(step, seconds) {
                judgement.steps.push(step);
                judgement.signs.push(format!("{sign} of {step}"));
            }
        }
        let all = &last.all;
        let failing = all.failed >= FAILURES
            && ratio(all.failed, all.requests) > self.error_ratio + ERRORS_OVER;
        let hanging = all.requests == 0 && last.sent >= UNANSWERED;
        if hanging {
            judgement.signs.push("silence of the whole shop".to_owned());
        } else if failing
            && !judgement
                .signs
                .iter()
                .any(|sign| sign.starts_with("errors"))
        {
            judgement.signs.push("errors of all steps".to_owned());
        }
        judgement.out = !judgement.signs.is_empty();
        judgement
    }

    /// By what a step is out of its steady state, if it is.
    fn sign_of(&self, step: &str, seconds: &[Interval]) -> Option<&'static str> {
        // A step that was never taken before: nothing is known of how it should be.
        let steady = self.steps.get(step)?;
        let rows: Vec<&StepInterval> = match seconds {
            [.., last] if requests(last, step) >= ENOUGH => rows(&[last], step),
            _ => {
                let window = &seconds[seconds.len().saturating_sub(WINDOW)..];
                rows(&window.iter().collect::<Vec<_>>(), step)
            }
        };
        let (requests, failed) = counts(&rows);
        let (Some(own), true) = (rows.last(), requests >= FEW) else {
            return None;
        };
        let failing = own.failed > 0
            && failed >= FAILURES
            && ratio(failed, requests) > steady.error_ratio + STEP_ERRORS_OVER;
        let slowest = self.slowest_us(step)?;
        let seen = match rows[..] {
            [alone] if requests < ENOUGH => alone.response_us.p50,
            _ => typical_p90(&rows),
        };
        let slow = own.response_us.p90.min(seen) > slowest;
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

pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
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
