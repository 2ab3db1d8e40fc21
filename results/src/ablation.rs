//! What each resilience pattern is worth: one scenario, run with all patterns and again without each.
//!
//! All runs have the same seed, so the same shoppers arrive at the same instants and get the same faults. The runs
//! differ in the pattern and in the noise of the machine. One run each shows large effects, not small ones.

use serde::{Deserialize, Serialize};

use crate::record::{RunSummary, Verdict};

/// The step that depends on every service, so it shows most effects.
const SHOWN_STEP: &str = "buy_confirm";

/// The runs of one scenario, with and without its patterns. The content of `ablation.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ablation {
    /// The scenario's name.
    pub scenario: String,
    /// The seed of all runs.
    pub seed: u64,
    /// The patterns that the scenario declares it needs.
    pub relies_on: Vec<String>,
    /// The runs. The first one has all patterns.
    pub arms: Vec<Arm>,
}

/// One of the runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// The pattern that was off. Absent for the run with all patterns.
    pub without: Option<String>,
    /// The run's verdict.
    pub verdict: Verdict,
    /// Successful steps per second in the measured phases.
    pub goodput_per_s: f64,
    /// Failed over all requests in the measured phases, 0 to 1.
    pub error_ratio: f64,
    /// The p99 response time of `buy_confirm` in microseconds, in the worst measured phase. Absent if the step was
    /// never taken.
    pub buy_p99_us: Option<u64>,
    /// Orders promised to shoppers.
    pub orders: u64,
    /// Expectations that did not hold, in words, with the observed values.
    pub broken: Vec<String>,
    /// Why the run is invalid. Empty if it is valid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<String>,
    /// Path of the run's record.
    pub record: String,
}

impl Arm {
    /// Summarizes a run. `record` is the path of its record.
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
    /// The patterns that the scenario declares it needs, although it passed without them.
    pub fn unneeded_patterns(&self) -> Vec<&str> {
        self.arms
            .iter()
            .filter(|arm| arm.verdict == Verdict::Pass)
            .filter_map(|arm| arm.without.as_deref())
            .filter(|pattern| self.relies_on.iter().any(|r| r == pattern))
            .collect()
    }

    fn needed_arm_is_invalid(&self) -> bool {
        let needed = |arm: &&Arm| {
            let without = arm.without.as_ref();
            without.is_some_and(|pattern| self.relies_on.contains(pattern))
        };
        let mut needed = self.arms.iter().filter(needed);
        needed.any(|arm| arm.verdict == Verdict::Invalid)
    }

    /// The verdict on all runs: that of the run with all patterns. If that one passed, it is a failure when the
    /// scenario also passed without a pattern that it declares it needs. It is invalid when a run without such a
    /// pattern is invalid.
    pub fn verdict(&self) -> Verdict {
        match self.arms.first().map(|arm| arm.verdict) {
            Some(Verdict::Pass) if !self.unneeded_patterns().is_empty() => Verdict::Fail,
            Some(Verdict::Pass) if self.needed_arm_is_invalid() => Verdict::Invalid,
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
    fn an_arm_summarizes_the_measured_phases() {
        let arm = Arm::of(None, &summary(Verdict::Fail, 400, 600), "runs/a");
        assert_eq!(arm.goodput_per_s, 40.0);
        assert_eq!(arm.error_ratio, 0.6);
        assert_eq!(arm.buy_p99_us, Some(44_000));
        assert_eq!(arm.broken, ["home errors ≤ 1%: 9%"]);
    }

    #[test]
    fn an_unneeded_pattern_that_is_relied_on_fails_the_ablation() {
        assert_eq!(
            ablation(&["shedding"], Verdict::Fail).verdict(),
            Verdict::Pass
        );
        assert_eq!(
            ablation(&["shedding"], Verdict::Pass).verdict(),
            Verdict::Fail
        );
        assert_eq!(
            ablation(&["shedding"], Verdict::Pass).unneeded_patterns(),
            ["shedding"]
        );
        assert_eq!(
            ablation(&["shedding"], Verdict::Invalid).verdict(),
            Verdict::Invalid
        );
        // The scenario does not declare that it needs the pattern.
        assert_eq!(ablation(&[], Verdict::Invalid).verdict(), Verdict::Pass);
        assert_eq!(ablation(&[], Verdict::Pass).verdict(), Verdict::Pass);
        let nothing = Ablation {
            arms: Vec::new(),
            ..ablation(&[], Verdict::Pass)
        };
        assert_eq!(nothing.verdict(), Verdict::Invalid);
    }
}
