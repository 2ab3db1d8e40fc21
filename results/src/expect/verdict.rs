//! The run in one word, and the exit code that follows from it.

use super::judge::{AUDIT_CLEAN, GOODPUT_BACK};
use super::{Evidence, Expectation};
use crate::format::latency;
use crate::record::{AuditRow, ExpectationRow, Metastability, Verdict};

/// The verdict, and every reason why it is not pass.
///
/// *Invalid* outranks *fail*: figures that cannot be trusted prove a failure no more than a success. What failed
/// is among the reasons all the same, after those of invalidity.
///
/// Invalid: the run was interrupted, the generator disturbed its own measurement, a fault touched no request (the
/// experiment is void; one that was refused is such a one), an expected audit could not be completed, an expected goodput
/// cannot be judged, or no request was measured at all.
/// Fail: an expectation did not hold, or, whatever the scenario expects, every request of a step failed in a
/// phase or the audit found a contradiction.
pub fn verdict(
    expectations: &[Expectation],
    judged: &[ExpectationRow],
    evidence: &Evidence<'_>,
) -> (Verdict, Vec<String>) {
    let mut reasons = doubts(expectations, evidence);
    let trusted = reasons.is_empty();
    reasons.extend(failures(judged, evidence));
    let verdict = match (trusted, reasons.is_empty()) {
        (false, _) => Verdict::Invalid,
        (true, false) => Verdict::Fail,
        (true, true) => Verdict::Pass,
    };
    (verdict, reasons)
}

/// The exit code of `doorbuster run`: 0 pass, 2 fail, 4 invalid. An interrupted run is never anything but invalid.
pub fn exit_code(verdict: Verdict, interrupted: bool) -> u8 {
    match verdict {
        _ if interrupted => 4,
        Verdict::Pass => 0,
        Verdict::Fail => 2,
        Verdict::Invalid => 4,
    }
}

impl AuditRow {
    /// Whether what was audited is without contradiction. An audit that is not complete may be clean so far.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty() && (!self.complete || self.orders_found == self.orders_promised)
    }
}

/// Why the measurement cannot be trusted.
fn doubts(expectations: &[Expectation], evidence: &Evidence<'_>) -> Vec<String> {
    let mut doubts = Vec::new();
    if evidence.interrupted {
        doubts.push("the run was interrupted before its end".to_owned());
    }
    let generator = evidence.generator;
    if !generator.valid {
        doubts.push(format!(
            "the generator disturbed the measurement: {} of {} steps were dropped, sends were late by {} at p99; \
             lower the arrival rate or give it a larger machine",
            generator.dropped,
            generator.offered,
            latency(generator.lateness_us.p99),
        ));
    }
    for fault in evidence.faults.iter().filter(|fault| fault.hits == 0) {
        doubts.push(format!(
            "fault {} touched no request at {}: the experiment is void",
            fault.name, fault.target
        ));
    }
    for fault in evidence.faults {
        if let Some(trouble) = &fault.trouble {
            doubts.push(format!(
                "fault {} did not end as it should: {trouble}",
                fault.name
            ));
        }
    }
    if expectations.contains(&Expectation::AuditClean) && !evidence.audit.complete {
        doubts.push("the audit could not be completed".to_owned());
    }
    if let Some(why) =
        goodput_unknown(evidence).filter(|_| expectations.contains(&Expectation::GoodputBack))
    {
        doubts.push(format!("whether the goodput came back is not known: {why}"));
    }
    if evidence.steps.iter().all(|row| row.requests == 0) {
        doubts.push("no request was measured".to_owned());
    }
    doubts
}

/// Why nothing can be said of the goodput, where that is so.
fn goodput_unknown<'r>(evidence: &Evidence<'r>) -> Option<&'r str> {
    let row = evidence.metastability?;
    let unknown = row.verdict == Metastability::Unknown;
    unknown.then(|| row.why.as_deref().unwrap_or("the record does not say"))
}

/// What went wrong, as far as was measured.
fn failures(judged: &[ExpectationRow], evidence: &Evidence<'_>) -> Vec<String> {
    // The audit speaks for itself, below or among the doubts, and says more; so does a goodput that is not known.
    let told = |text: &str| {
        text == AUDIT_CLEAN || (text == GOODPUT_BACK && goodput_unknown(evidence).is_some())
    };
    let missed = judged.iter().filter(|row| !row.held && !told(&row.text));
    let mut failures: Vec<String> = missed
        .map(|row| format!("{}: {}", row.text, row.observed))
        .collect();
    for row in evidence
        .steps
        .iter()
        .filter(|r| r.requests > 0 && r.ok == 0)
    {
        failures.push(format!(
            "{} in {}: none of {} requests succeeded",
            row.step, row.phase, row.requests
        ));
    }
    failures.extend(
        evidence
            .crashes
            .iter()
            .map(|c| format!("a service died by itself: {c}")),
    );
    let audit = evidence.audit;
    if !audit.is_clean() {
        failures.push(match &audit.violations[..] {
            [] => format!(
                "the audit found {} of {} promised orders",
                audit.orders_found, audit.orders_promised
            ),
            [only] => format!("the audit found a contradiction: {only}"),
            [first, ..] => format!(
                "the audit found {} contradictions, the first: {first}",
                audit.violations.len()
            ),
        });
    }
    failures
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::judge;
    use super::*;
    use crate::record::{FaultRow, Generator, MetastabilityRow, PhaseRow, Quantiles, StepRow};

    /// The rows of a run, to be spoilt by a test.
    pub(in super::super) struct Record {
        pub(in super::super) phases: Vec<PhaseRow>,
        pub(in super::super) steps: Vec<StepRow>,
        pub(in super::super) faults: Vec<FaultRow>,
        pub(in super::super) metastability: Option<MetastabilityRow>,
        pub(in super::super) audit: AuditRow,
        pub(in super::super) generator: Generator,
        pub(in super::super) interrupted: bool,
    }

    impl Record {
        /// A run on which there is nothing to hold against it.
        pub(in super::super) fn good() -> Self {
            let phase = |name: &str, from_s, to_s, measure| PhaseRow {
                name: name.to_owned(),
                from_s,
                to_s,
                measure,
            };
            let step = |step: &str, phase: &str| StepRow {
                step: step.to_owned(),
                phase: phase.to_owned(),
                requests: 200,
                ok: 200,
                response_us: Quantiles {
                    p50: 9_000,
                    p99: 412_000,
                    ..Quantiles::default()
                },
                ..StepRow::default()
            };
            let fault = |name: &str, target: &str| FaultRow {
                name: name.to_owned(),
                target: target.to_owned(),
                hits: 40,
                recovered_s: Some(0.0),
                ..FaultRow::default()
            };
            Self {
                phases: vec![
                    phase("warm-up", 0.0, 5.0, false),
                    phase("steady", 5.0, 25.0, true),
                    phase("rush", 25.0, 35.0, true),
                ],
                steps: vec![
                    step("home", "steady"),
                    step("buy_confirm", "steady"),
                    step("home", "rush"),
                    step("buy_confirm", "rush"),
                ],
                faults: vec![fault("bank-slow", "bank"), fault("order-down", "order/1")],
                metastability: None,
                audit: AuditRow {
                    complete: true,
                    orders_promised: 212,
                    orders_found: 212,
                    ..AuditRow::default()
                },
                generator: Generator {
                    offered: 800,
                    sent: 800,
                    valid: true,
                    ..Generator::default()
                },
                interrupted: false,
            }
        }

        pub(in super::super) fn evidence(&self) -> Evidence<'_> {
            Evidence {
                crashes: &[],
                phases: &self.phases,
                steps: &self.steps,
                faults: &self.faults,
                metastability: self.metastability.as_ref(),
                audit: &self.audit,
                generator: &self.generator,
                interrupted: self.interrupted,
            }
        }

        pub(in super::super) fn step(&mut self, step: &str, phase: &str) -> &mut StepRow {
            self.steps
                .iter_mut()
                .find(|row| row.step == step && row.phase == phase)
                .unwrap()
        }

        fn verdict(&self, expectations: &[Expectation]) -> (Verdict, Vec<String>) {
            let judged = judge(expectations, &self.evidence());
            verdict(expectations, &judged, &self.evidence())
        }
    }

    fn recovery() -> Expectation {
        Expectation::Recovery {
            within: std::time::Duration::from_secs(10),
        }
    }

    #[test]
    fn a_good_run_passes_without_a_reason() {
        let verdict = Record::good().verdict(&[recovery(), Expectation::AuditClean]);
        assert_eq!(verdict, (Verdict::Pass, vec![]));
    }

    #[test]
    fn an_expectation_that_did_not_hold_fails_the_run() {
        let mut record = Record::good();
        record.faults[0].recovered_s = Some(11.0);
        let (verdict, reasons) = record.verdict(&[recovery()]);
        assert_eq!(verdict, Verdict::Fail);
        assert_eq!(reasons, ["recovery ≤ 10s: bank-slow took 11s"]);
    }

    #[test]
    fn a_step_that_always_failed_fails_the_run_whatever_is_expected() {
        let mut record = Record::good();
        let row = record.step("home", "rush");
        (row.ok, row.failed, row.requests) = (0, 1, 1);
        let (verdict, reasons) = record.verdict(&[]);
        assert_eq!(verdict, Verdict::Fail);
        assert_eq!(reasons, ["home in rush: none of 1 requests succeeded"]);
    }

    #[test]
    fn a_contradiction_fails_the_run_even_when_no_audit_is_expected() {
        let mut record = Record::good();
        record.audit.violations = vec!["order o-1 is charged twice".to_owned()];
        let (verdict, reasons) = record.verdict(&[]);
        assert_eq!(verdict, Verdict::Fail);
        assert!(reasons[0].contains("charged twice"), "{reasons:?}");
        record.audit.violations.clear();
        record.audit.orders_found -= 1;
        assert_eq!(record.verdict(&[]).0, Verdict::Fail);
    }

    #[test]
    fn an_audit_that_nobody_expects_may_be_incomplete() {
        let mut record = Record::good();
        record.audit = AuditRow::default();
        assert_eq!(record.verdict(&[]).0, Verdict::Pass);
        let (verdict, reasons) = record.verdict(&[Expectation::AuditClean]);
        assert_eq!(verdict, Verdict::Invalid);
        assert_eq!(reasons, ["the audit could not be completed"]);
    }

    #[test]
    fn every_doubt_about_the_measurement_makes_it_invalid() {
        type Spoil = fn(&mut Record);
        let spoil: [(&str, Spoil); 5] = [
            ("interrupted", |r| r.interrupted = true),
            ("generator", |r| r.generator.valid = false),
            ("bank-slow touched no request", |r| r.faults[0].hits = 0),
            ("no request was measured", |r| r.steps.clear()),
            ("no request was measured", |r| {
                r.steps.iter_mut().for_each(|row| row.requests = 0);
            }),
        ];
        for (words, spoil) in spoil {
            let mut record = Record::good();
            spoil(&mut record);
            let (verdict, reasons) = record.verdict(&[]);
            assert_eq!(verdict, Verdict::Invalid, "{words}");
            assert!(reasons[0].contains(words), "{reasons:?}");
        }
    }

    #[test]
    fn a_fault_that_was_refused_voids_the_experiment_of_whatever_kind_it_is() {
        for kind in ["latency", "kill", "anything"] {
            let mut record = Record::good();
            // As the injector leaves it: over when it begins, without a hit.
            record.faults[1] = FaultRow {
                name: "refused".to_owned(),
                kind: kind.to_owned(),
                started_s: 30.0,
                ended_s: 30.0,
                ..FaultRow::default()
            };
            let (verdict, reasons) = record.verdict(&[]);
            assert_eq!(verdict, Verdict::Invalid, "{kind}");
            assert!(reasons[0].contains("the experiment is void"), "{reasons:?}");
        }
    }

    #[test]
    fn a_goodput_that_is_not_known_makes_the_run_invalid_where_it_matters() {
        let mut record = Record::good();
        record.metastability = Some(MetastabilityRow {
            why: Some("the run ended".to_owned()),
            ..MetastabilityRow::default()
        });
        assert_eq!(record.verdict(&[]).0, Verdict::Pass);
        let (verdict, reasons) = record.verdict(&[Expectation::GoodputBack]);
        assert_eq!(verdict, Verdict::Invalid);
        let told = "whether the goodput came back is not known: the run ended";
        assert_eq!(reasons, [told]);
    }

    #[test]
    fn invalid_outranks_fail_and_still_tells_what_failed() {
        let mut record = Record::good();
        record.generator.valid = false;
        record.faults[1].recovered_s = None;
        let (verdict, reasons) = record.verdict(&[recovery()]);
        assert_eq!(verdict, Verdict::Invalid);
        assert_eq!(reasons.len(), 2);
        assert!(
            reasons[1].contains("order-down was not recovered"),
            "{reasons:?}"
        );
    }

    #[test]
    fn exit_codes_are_those_of_the_contract() {
        assert_eq!(exit_code(Verdict::Pass, false), 0);
        assert_eq!(exit_code(Verdict::Fail, false), 2);
        assert_eq!(exit_code(Verdict::Invalid, false), 4);
        assert_eq!(exit_code(Verdict::Pass, true), 4);
        assert_eq!(exit_code(Verdict::Fail, true), 4);
    }
}
