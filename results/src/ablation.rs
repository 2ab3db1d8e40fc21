//! What each resilience pattern is worth: one scenario run with all of them, and again without each.
//!
//! Every run has the same seed, so the same shoppers come at the same instants and meet the same faults. What differs
//! is the pattern, and the noise of the machine; one run each tells the large effects and not the small ones.

use serde::{Deserialize, Serialize};

use crate::record::{RunSummary, Verdict};

/// The step that shows best how a shop fares: everything has to work for it.
const SHOWN_STEP: &str = "buy_confirm";

/// The runs of one scenario, with and without its patterns. What `ablation.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ablation {
    /// The scenario's name.
    pub scenario: String,
    /// The seed that all runs have in common.
    pub seed: u64,
    /// The patterns that the scenario says it needs.
    pub relies_on: Vec<String>,
    /// The run with all patterns first.
    pub arms: Vec<Arm>,
}

/// One of the runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// The pattern that was off; absent for the run with all of them.
    pub without: Option<String>,
    /// What the run said.
    pub verdict: Verdict,
    /// Steps a second that were answered as they should be, over the measured phases.
    pub goodput_per_s: f64,
    /// Failed requests over all, 0 to 1, over the measured phases.
    pub error_ratio: f64,
    /// The worst measured phase's p99 of the response time of `buy_confirm`, in microseconds; absent when it was never
    /// taken.
    pub buy_p99_us: Option<u64>,
    /// Orders that a shopper was promised.
    pub orders: u64,
    /// Expectations that did not hold, in words, with what was observed.
    pub broken: Vec<String>,
    /// Why the run says nothing, where it does not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<String>,
    /// Where its record lies.
    pub record: String,
}

impl Arm {
    /// What a run comes to. `record` is where it lies.
    pub fn of(without: Option<&str>, summary: &RunSummary, record: &str) -> Self {
        let measured_s: f64 = summary
            .phases
            .iter()
            .filter(|p| p.measure)
            .map(|p| p.to_s - p.from_s)
            .sum();
        let ok: u64 = summary.steps.iter().map(|s| s.ok).sum();
        let failed: u64 = summary.steps.iter().map(|s| s.failed).sum();
        let bought = summary.steps.iter().filter(|s| s.step == SHOWN_STEP);
        let broken = summary.expectations.iter().filter(|e| !e.held);
        Self {
            without: without.map(str::to_owned),
            verdict: summary.verdict,
            goodput_per_s: if measured_s > 0.0 {
                ok as f64 / measured_s
            } else {
                0.0
            },
            error_ratio: match ok + failed {
                0 => 0.0,
                all => failed as f64 / all as f64,
            },
            buy_p99_us: bought
                .filter(|s| s.requests > 0)
                .map(|s| s.response_us.p99)
                .max(),
            orders: summary.audit.orders_promised,
            broken: broken
                .map(|e| format!("{}: {}", e.text, e.observed))
                .collect(),
            doubts: match summary.verdict {
                Verdict::Invalid => summary.reasons.clone(),
                Verdict::Pass | Verdict::Fail => Vec::new(),
            },
            record: record.to_owned(),
        }
    }
}

impl Ablation {
    /// The patterns without which the scenario passed although it says that it needs them.
    pub fn idle(&self) -> Vec<&str> {
        self.arms
            .iter()
            .filter(|arm| arm.verdict == Verdict::Pass)
            .filter_map(|arm| arm.without.as_deref())
            .filter(|pattern| self.relies_on.iter().any(|r| r == pattern))
            .collect()
    }

    fn says_nothing(&self) -> bool {
        let needed = |arm: &&Arm| {
            let without = arm.without.as_ref();
            without.is_some_and(|pattern| self.relies_on.contains(pattern))
        };
        let mut needed = self.arms.iter().filter(needed);
        needed.any(|arm| arm.verdict == Verdict::Invalid)
    }

    /// The word on all runs together: that of the run with all patterns; a failure where a pattern that the scenario
    /// says it needs was not needed, and invalid where a run without such a one says nothing.
    pub fn verdict(&self) -> Verdict {
        match self.arms.first().map(|arm| arm.verdict) {
            Some(Verdict::Pass) if !self.idle().is_empty() => Verdict::Fail,
            Some(Verdict::Pass) if self.says_nothing() => Verdict::Invalid,
            Some(verdict) => verdict,
            None => Verdict::Invalid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{ExpectationRow, PhaseRow, PlanDigest, Quantiles, StepRow};

    fn summary(verdict: Verdict, ok: u64, failed: u64) -> RunSummary {
        let step = |step: &str, ok, failed, p99| StepRow {
            step: step.to_owned(),
            phase: "steady".to_owned(),
            requests: ok + failed,
            ok,
            failed,
            response_us: Quantiles {
                p99,
                ..Quantiles::default()
            },
            ..StepRow::default()
        };
        RunSummary {
            verdict,
            phases: vec![
                PhaseRow {
                    to_s: 5.0,
                    ..PhaseRow::default()
                },
                PhaseRow {
                    name: "steady".to_owned(),
                    from_s: 5.0,
                    to_s: 15.0,
                    measure: true,
                },
            ],
            steps: vec![
                step("home", ok - 10, failed, 9),
                step(SHOWN_STEP, 10, 0, 44_000),
            ],
            expectations: vec![ExpectationRow {
                text: "home errors ≤ 1%".to_owned(),
                held: verdict == Verdict::Pass,
                observed: "9%".to_owned(),
                metric: None,
            }],
            ..RunSummary::new(
                "storm",
                7,
                "",
                jiff::Timestamp::UNIX_EPOCH,
                PlanDigest::default(),
            )
        }
    }

    fn ablation(relies_on: &[&str], without: Verdict) -> Ablation {
        Ablation {
            scenario: "storm".to_owned(),
            seed: 7,
            relies_on: relies_on.iter().map(|&p| p.to_owned()).collect(),
            arms: vec![
                Arm::of(None, &summary(Verdict::Pass, 1000, 0), "runs/a"),
                Arm::of(Some("shedding"), &summary(without, 400, 600), "runs/b"),
            ],
        }
    }

    #[test]
    fn an_arm_says_what_the_measured_phases_came_to() {
        let arm = Arm::of(None, &summary(Verdict::Fail, 400, 600), "runs/a");
        assert_eq!(arm.goodput_per_s, 40.0);
        assert_eq!(arm.error_ratio, 0.6);
        assert_eq!(arm.buy_p99_us, Some(44_000));
        assert_eq!(arm.broken, ["home errors ≤ 1%: 9%"]);
    }

    #[test]
    fn a_pattern_that_is_relied_on_and_not_needed_fails_the_whole() {
        assert_eq!(
            ablation(&["shedding"], Verdict::Fail).verdict(),
            Verdict::Pass
        );
        assert_eq!(
            ablation(&["shedding"], Verdict::Pass).verdict(),
            Verdict::Fail
        );
        assert_eq!(ablation(&["shedding"], Verdict::Pass).idle(), ["shedding"]);
        assert_eq!(
            ablation(&["shedding"], Verdict::Invalid).verdict(),
            Verdict::Invalid
        );
        // Nobody said that it matters here.
        assert_eq!(ablation(&[], Verdict::Invalid).verdict(), Verdict::Pass);
        assert_eq!(ablation(&[], Verdict::Pass).verdict(), Verdict::Pass);
        let nothing = Ablation {
            arms: Vec::new(),
            ..ablation(&[], Verdict::Pass)
        };
        assert_eq!(nothing.verdict(), Verdict::Invalid);
    }
}
