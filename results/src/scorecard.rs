//! What a fault cost: one card per fault, computed from the seconds of the run and the shoppers' ledger.
//!
//! The steady state is measured before the fault (as in [`recovery`]), and everything is compared with it, never with
//! an assumption. The time window that is charged to the fault begins at its start and ends at recovery. It ends at the
//! fault's end if the fault was never felt, and at the end of the record if there was no recovery.
//!
//! * **Detected**: the end of the first second in which the shoppers' measurements had left the steady state, or a
//!   breaker on a path to the target was open that had not been open before. Those are the breakers at callers of the
//!   target, and at callers of services that need the target, as the edges of the record show.
//! * **Requests affected**: those that failed or were slower than the steady state allows, minus the number expected
//!   from the time before. Seconds have quantiles, so slow requests are a lower bound. A request that failed slowly
//!   counts once.
//! * **Orders and revenue**: see `scorecard/orders.rs`.
//! * **Retries**: see `scorecard/callers.rs`.
//! * **Error budget**: failures over allowed failures. Allowed is, per step, the share in the scenario's own
//!   expectation (the strictest one for this phase), else [`BUDGET`].
//!
//! **Limits.** All values are those of the whole shop. While faults overlap, each is charged with the effects of the
//! others, and the card says so. A shopper who waits makes no requests, so requests that were never made count only in
//! the orders.

mod callers;
mod orders;
mod run_data;
mod window;

use crate::expect::{Expectation, Limit};
use crate::record::{Budget, FaultRow, Interval, Requests, Score, StepInterval};
use crate::recovery;
use crate::steady::{ROUNDING_S, SteadyState, ratio};
use callers::Callers;
pub use run_data::RunData;
use window::Window;

/// The default share of allowed failures: a service level of 99 %.
pub const BUDGET: f64 = 0.01;

impl RunData<'_> {
    /// Fills in what the run shows about a fault: when and by what it was detected, when it was over for shoppers, and
    /// what it cost.
    pub fn complete(&self, fault: &mut FaultRow) {
        let found = recovery::measure(self.intervals, fault.started_s, fault.ended_s);
        let steady = SteadyState::before(self.intervals, fault.started_s);
        let felt = found.detected_s.is_some();
        let to_s = match found.recovered_s {
            _ if !felt => fault.ended_s,
            Some(back_s) => fault.ended_s + back_s,
            None => self.end_s().max(fault.ended_s),
        };
        let window = Window {
            from_s: fault.started_s,
            to_s,
        };
        let role = role_of(&fault.target);
        let callers = Callers::of(self.intervals, role);
        let opened = callers.opened(window);

        let mut score = Score {
            from_s: window.from_s,
            to_s: window.to_s,
            steady_error_ratio: steady.as_ref().map(|steady| steady.error_ratio),
            felt_s: found.detected_s,
            requests: self.requests(window, steady.as_ref()),
            retries: callers.retries_at_target(window, steady.as_ref()),
            retries_everywhere: callers.retries_everywhere(window, steady.as_ref()),
            budget: self.budget(window),
            ..Score::default()
        };
        if let Some(steady) = &steady {
            let steady_of = |step: &String| Some((step.clone(), *steady.steps.get(step)?));
            score.steady = found.steps.iter().filter_map(steady_of).collect();
        }
        if let Some(estimates) = orders::estimate(self, window) {
            (score.orders, score.revenue) = (Some(estimates.0), Some(estimates.1));
        }
        score.unknown = self.unknown(fault, window, steady.is_some(), &score);
        if felt && found.recovered_s.is_none() && steady.is_some() {
            score.unknown.push(
                "it was not recovered from by the end of the record: all values are those at that time"
                    .to_owned(),
            );
        }

        let first_opened = opened.iter().map(|(_, t_s)| *t_s - fault.started_s);
        let first_opened = first_opened.min_by(f64::total_cmp);
        fault.detected_s = match (found.detected_s, first_opened) {
            (Some(felt), Some(opened)) => Some(felt.min(opened)),
            (felt, opened) => felt.or(opened),
        };
        let at_first = |t_s: f64| fault.detected_s.is_some_and(|d| t_s <= d + ROUNDING_S);
        fault.detected_by.clear();
        if found.detected_s.is_some_and(at_first) {
            fault.detected_by.extend(found.detected_by);
        }
        for (edge, t_s) in &opened {
            if at_first(t_s - fault.started_s) {
                fault.detected_by.push(format!("breaker {edge}"));
            }
        }
        score.breakers = opened
            .into_iter()
            .map(|(edge, _)| edge.to_owned())
            .collect();
        fault.recovered_s = found.recovered_s;
        fault.score = Some(score);
    }

    fn requests(&self, window: Window, steady: Option<&SteadyState<'_>>) -> Requests {
        let mut requests = Requests::default();
        let mut affected = 0.0;
        let mut steps: Vec<&String> = Vec::new();
        for second in window.seconds(self.intervals) {
            requests.all += second.all.requests;
            requests.failed += second.all.failed;
            steps.extend(second.steps.keys());
        }
        steps.sort();
        steps.dedup();
        for step in steps {
            let slowest = steady.and_then(|steady| steady.slowest_us(step));
            let count = |seconds: &mut dyn Iterator<Item = &Interval>| {
                let rows = seconds.filter_map(|second| second.steps.get(step));
                rows.fold((0, 0), |(bad, all), row| {
                    (bad + affected_requests(row, slowest), all + row.requests)
                })
            };
            let (bad, all) = count(&mut window.seconds(self.intervals));
            let before = steady.map_or((0, 0), |s| count(&mut s.seconds.iter().copied()));
            affected += (bad as f64 - ratio(before.0, before.1) * all as f64).max(0.0);
        }
        requests.affected = steady.map(|_| affected.round() as u64);
        requests
    }

    fn budget(&self, window: Window) -> Budget {
        let mut budget = Budget::default();
        let mut overspent: std::collections::BTreeMap<&str, f64> = Default::default();
        for second in window.seconds(self.intervals) {
            for (step, row) in &second.steps {
                let allowed = self.allowed(step, &second.phase) * row.requests as f64;
                budget.failed += row.failed;
                budget.allowed += allowed;
                *overspent.entry(step).or_default() += row.failed as f64 - allowed;
            }
        }
        budget.spent = match (budget.failed, budget.allowed) {
            (_, allowed) if allowed > 0.0 => Some(budget.failed as f64 / allowed),
            (0, _) => Some(0.0),
            _ => None,
        };
        let worst = overspent.into_iter().filter(|(_, over)| *over > 0.0);
        let worst = worst.max_by(|a, b| a.1.total_cmp(&b.1));
        budget.worst = worst.map(|(step, _)| step.to_owned());
        budget
    }

    /// The share of a step's requests that may fail in a phase.
    fn allowed(&self, step: &str, phase: &str) -> f64 {
        let limits = self.expectations.iter().flat_map(|e| match e {
            Expectation::Step {
                step: of,
                in_phase,
                limits,
            } if of == step && in_phase.as_deref().is_none_or(|p| p == phase) => &limits[..],
            _ => &[],
        });
        let errors = limits.filter_map(|limit| match limit {
            Limit::Errors { at_most } => Some(*at_most),
            Limit::Response { .. } => None,
        });
        errors.min_by(f64::total_cmp).unwrap_or(BUDGET)
    }

    fn unknown(
        &self,
        fault: &FaultRow,
        window: Window,
        measured_before: bool,
        score: &Score,
    ) -> Vec<String> {
        let mut unknown = Vec::new();
        if !measured_before {
            unknown.push(
                "nothing was measured before it, so there is no steady state to compare with"
                    .to_owned(),
            );
        }
        if score.orders.is_none() {
            unknown.push(
                "no purchase was planned in undisturbed seconds before it, so none are expected"
                    .to_owned(),
            );
        }
        if score.retries.is_none() {
            let role = role_of(&fault.target);
            unknown.push(format!(
                "no service was seen calling {role}, so its retries are unknown"
            ));
        }
        let mut others: Vec<&str> = window
            .seconds(self.intervals)
            .flat_map(|second| &second.faults)
            .filter(|name| **name != fault.name)
            .map(String::as_str)
            .collect();
        others.sort_unstable();
        others.dedup();
        if !others.is_empty() {
            unknown.push(format!(
                "{} overlapped: what each cost is counted for all of them",
                others.join(", ")
            ));
        }
        unknown
    }
}

/// The role that a target names: `order/1` → `order`. For a path, `cart->product` in scenarios or `cart→product`, the
/// callee.
fn role_of(target: &str) -> &str {
    let callee = target.rsplit(['>', '→']).next().unwrap_or(target);
    callee.split('/').next().unwrap_or(callee).trim()
}

/// A lower bound of the requests in a second that failed or were slower than `slowest_us`. Quantiles include failed
/// requests. So the larger of both counts is certain, and their sum is not.
fn affected_requests(row: &StepInterval, slowest_us: Option<u64>) -> u64 {
    let n = row.requests;
    let q = &row.response_us;
    let Some(limit) = slowest_us.filter(|_| n > 0) else {
        return row.failed;
    };
    // A quantile is the value at a rank. If it exceeds the limit, so do all values from that rank on.
    let from_rank = |share: f64| n - (share * n as f64).ceil().max(1.0) as u64 + 1;
    let over = [
        (q.min, n),
        (q.p50, from_rank(0.5)),
        (q.p90, from_rank(0.9)),
        (q.p95, from_rank(0.95)),
        (q.p99, from_rank(0.99)),
        (q.p999, from_rank(0.999)),
        (q.max, 1),
    ];
    let slow = over.iter().find(|(value, _)| *value > limit);
    row.failed.max(slow.map_or(0, |(_, count)| *count))
}

#[cfg(test)]
mod tests;
