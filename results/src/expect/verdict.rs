//! Decides the verdict on a run, its reasons and the exit code.

use super::evidence::Evidence;
use super::expectation::Expectation;
use super::judge::{AUDIT_CLEAN, GOODPUT_BACK};
use crate::format::latency;
use crate::record::{AuditRow, ExpectationRow, Metastability, Verdict};

/// The verdict, and every reason why it is not pass.
///
/// - *Invalid*: there are doubts from outside the record, or the measurement cannot be trusted. That is so if the run
///   was interrupted, the generator disturbed its own measurement, a fault hit no request (as when it was refused) or
///   did not end cleanly, an expected audit could not be completed, an expected goodput is unknown, or no request was
///   measured.
/// - *Fail*: an expectation did not hold, every request of a step failed in a phase, a service crashed, or the audit
///   found a contradiction.
/// - *Pass*: otherwise.
///
/// *Invalid* outranks *fail*: a measurement that cannot be trusted proves neither success nor failure. An aborted run
/// is the exception. It fails if the generator is valid and nothing interrupted it, even when a fault had no hits by
/// then.
///
/// The reasons, in this order: doubts, the abort, why the measurement cannot be trusted, failures.
pub fn verdict(
    expectations: &[Expectation],
    judged: &[ExpectationRow],
    evidence: &Evidence<'_>,
) -> (Verdict, Vec<String>) {
    let untrusted = untrusted(expectations, evidence);
    let failures = failures(judged, evidence);
    let generator_valid = evidence.generator.valid && !evidence.interrupted;
    let verdict = if !evidence.doubts.is_empty() {
        Verdict::Invalid
    } else if evidence.aborted.is_some() && generator_valid {
        Verdict::Fail
    } else if !untrusted.is_empty() {
        Verdict::Invalid
    } else if !failures.is_empty() {
        Verdict::Fail
    } else {
        Verdict::Pass
    };
    let aborted = evidence.aborted.map(|why| format!("aborted: {why}"));
    let mut reasons: Vec<String> = aborted
        .into_iter()
        .chain(untrusted)
        .chain(failures)
        .collect();
    for doubt in evidence.doubts.iter().rev() {
        if !reasons.contains(doubt) {
            reasons.insert(0, doubt.clone());
        }
    }
    (verdict, reasons)
}

/// The exit code of `doorbuster run`: 0 pass, 2 fail, 4 invalid. An interrupted run is always invalid.
pub fn exit_code(verdict: Verdict, interrupted: bool) -> u8 {
    match verdict {
        _ if interrupted => 4,
        Verdict::Pass => 0,
        Verdict::Fail => 2,
        Verdict::Invalid => 4,
    }
}

impl AuditRow {
    /// Whether the audit found no contradiction so far. Check `complete` as well.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty() && (!self.complete || self.orders_found == self.orders_promised)
    }
}

/// Reasons in the record why the measurement cannot be trusted.
fn untrusted(expectations: &[Expectation], evidence: &Evidence<'_>) -> Vec<String> {
    let mut reasons = Vec::new();
    if evidence.interrupted {
        reasons.push("the run was interrupted before its end".to_owned());
    }
    let generator = evidence.generator;
    if !generator.valid {
        reasons.push(format!(
            "the generator disturbed the measurement: {} of {} steps were dropped, sends were late by {} at p99; \
             lower the arrival rate or give it a larger machine",
            generator.dropped,
            generator.offered,
            latency(generator.lateness_us.p99),
        ));
    }
    for fault in evidence.faults.iter().filter(|fault| fault.hits == 0) {
        reasons.push(format!(
            "fault {} affected no request at {}: the experiment is void",
            fault.name, fault.target
        ));
    }
    for fault in evidence.faults {
        if let Some(error) = &fault.end_error {
            reasons.push(format!("fault {} did not end cleanly: {error}", fault.name));
        }
    }
    if expectations.contains(&Expectation::AuditClean) && !evidence.audit.complete {
        reasons.push("the audit could not be completed".to_owned());
    }
    if let Some(why) =
        goodput_unknown(evidence).filter(|_| expectations.contains(&Expectation::GoodputBack))
    {
        reasons.push(format!("the goodput after the faults is unknown: {why}"));
    }
    if evidence.steps.iter().all(|row| row.requests == 0) {
        reasons.push("no request was measured".to_owned());
    }
    reasons
}

/// Why the goodput is unknown, if it is.
fn goodput_unknown<'r>(evidence: &Evidence<'r>) -> Option<&'r str> {
    let row = evidence.metastability?;
    let unknown = row.verdict == Metastability::Unknown;
    unknown.then(|| row.why.as_deref().unwrap_or("the record has no reason"))
}

/// Everything that failed.
fn failures(judged: &[ExpectationRow], evidence: &Evidence<'_>) -> Vec<String> {
    // The audit, and a goodput that is unknown, have more detailed reasons of their own.
    let reported_elsewhere = |text: &str| {
        text == AUDIT_CLEAN || (text == GOODPUT_BACK && goodput_unknown(evidence).is_some())
    };
    let missed = judged
        .iter()
        .filter(|row| !row.held && !reported_elsewhere(&row.text));
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
            .map(|c| format!("a service crashed: {c}")),
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
mod tests {
    use super::super::fixture::Record;
    use super::super::judge::judge;
    use super::*;
    use crate::record::{FaultRow, MetastabilityRow};

    fn judged(record: &Record, expectations: &[Expectation]) -> (Verdict, Vec<String>) {
        let judged = judge(expectations, &record.evidence());
        verdict(expectations, &judged, &record.evidence())
    }

    fn recovery() -> Expectation {
        Expectation::Recovery {
            within: std::time::Duration::from_secs(10),
        }
    }

    #[test]
    fn a_good_run_passes_without_reasons() {
        let verdict = judged(&Record::good(), &[recovery(), Expectation::AuditClean]);
        assert_eq!(verdict, (Verdict::Pass, vec![]));
    }

    #[test]
    fn an_expectation_that_did_not_hold_fails_the_run() {
        let mut record = Record::good();
        record.faults[0].recovered_s = Some(11.0);
        let (verdict, reasons) = judged(&record, &[recovery()]);
        assert_eq!(verdict, Verdict::Fail);
        assert_eq!(reasons, ["recovery ≤ 10s: bank-slow took 11s"]);
    }

    #[test]
    fn a_step_that_always_failed_fails_the_run_without_an_expectation() {
        let mut record = Record::good();
        let row = record.step("home", "rush");
        (row.ok, row.failed, row.requests) = (0, 1, 1);
        let (verdict, reasons) = judged(&record, &[]);
        assert_eq!(verdict, Verdict::Fail);
        assert_eq!(reasons, ["home in rush: none of 1 requests succeeded"]);
    }

    #[test]
    fn a_contradiction_fails_the_run_even_when_no_audit_is_expected() {
        let mut record = Record::good();
        record.audit.violations = vec!["order o-1 is charged twice".to_owned()];
        let (verdict, reasons) = judged(&record, &[]);
        assert_eq!(verdict, Verdict::Fail);
        assert!(reasons[0].contains("charged twice"), "{reasons:?}");
        record.audit.violations.clear();
        record.audit.orders_found -= 1;
        assert_eq!(judged(&record, &[]).0, Verdict::Fail);
    }

    #[test]
    fn an_audit_may_be_incomplete_if_it_is_not_expected() {
        let mut record = Record::good();
        record.audit = AuditRow::default();
        assert_eq!(judged(&record, &[]).0, Verdict::Pass);
        let (verdict, reasons) = judged(&record, &[Expectation::AuditClean]);
        assert_eq!(verdict, Verdict::Invalid);
        assert_eq!(reasons, ["the audit could not be completed"]);
    }

    #[test]
    fn a_measurement_that_cannot_be_trusted_is_invalid() {
        type Spoil = fn(&mut Record);
        let spoil: [(&str, Spoil); 5] = [
            ("interrupted", |r| r.interrupted = true),
            ("generator", |r| r.generator.valid = false),
            ("bank-slow affected no request", |r| r.faults[0].hits = 0),
            ("no request was measured", |r| r.steps.clear()),
            ("no request was measured", |r| {
                r.steps.iter_mut().for_each(|row| row.requests = 0);
            }),
        ];
        for (words, spoil) in spoil {
            let mut record = Record::good();
            spoil(&mut record);
            let (verdict, reasons) = judged(&record, &[]);
            assert_eq!(verdict, Verdict::Invalid, "{words}");
            assert!(reasons[0].contains(words), "{reasons:?}");
        }
    }

    #[test]
    fn a_refused_fault_of_any_kind_voids_the_experiment() {
        for kind in ["latency", "kill", "anything"] {
            let mut record = Record::good();
            // As the injector records a refused fault: it ends when it begins, without hits.
            record.faults[1] = FaultRow {
                name: "refused".to_owned(),
                kind: kind.to_owned(),
                started_s: 30.0,
                ended_s: 30.0,
                ..FaultRow::default()
            };
            let (verdict, reasons) = judged(&record, &[]);
            assert_eq!(verdict, Verdict::Invalid, "{kind}");
            assert!(reasons[0].contains("the experiment is void"), "{reasons:?}");
        }
    }

    #[test]
    fn an_unknown_goodput_is_invalid_only_if_it_is_expected() {
        let mut record = Record::good();
        record.metastability = Some(MetastabilityRow {
            why: Some("the run ended".to_owned()),
            ..MetastabilityRow::default()
        });
        assert_eq!(judged(&record, &[]).0, Verdict::Pass);
        let (verdict, reasons) = judged(&record, &[Expectation::GoodputBack]);
        assert_eq!(verdict, Verdict::Invalid);
        let expected = "the goodput after the faults is unknown: the run ended";
        assert_eq!(reasons, [expected]);
    }

    #[test]
    fn invalid_outranks_fail_and_the_failures_are_still_listed() {
        let mut record = Record::good();
        record.generator.valid = false;
        record.faults[1].recovered_s = None;
        let (verdict, reasons) = judged(&record, &[recovery()]);
        assert_eq!(verdict, Verdict::Invalid);
        assert_eq!(reasons.len(), 2);
        assert!(
            reasons[1].contains("order-down was not recovered"),
            "{reasons:?}"
        );
    }

    #[test]
    fn an_abort_fails_the_run_even_if_a_fault_had_no_hits_by_then() {
        let mut record = Record::good();
        record.aborted = Some("errors of home above 50% for 3s");
        record.faults[1].hits = 0;
        let (verdict, reasons) = judged(&record, &[]);
        assert_eq!(verdict, Verdict::Fail);
        assert_eq!(reasons[0], "aborted: errors of home above 50% for 3s");
        assert!(
            reasons[1].contains("order-down affected no request"),
            "{reasons:?}"
        );
    }

    #[test]
    fn an_abort_of_an_invalid_or_interrupted_run_is_invalid() {
        let spoil: [fn(&mut Record); 3] = [
            |r| r.generator.valid = false,
            |r| r.interrupted = true,
            |r| r.doubts.push("sends were late".to_owned()),
        ];
        for spoil in spoil {
            let mut record = Record::good();
            record.aborted = Some("errors of home above 50%");
            spoil(&mut record);
            let (verdict, reasons) = judged(&record, &[]);
            assert_eq!(verdict, Verdict::Invalid, "{reasons:?}");
            assert!(reasons.contains(&"aborted: errors of home above 50%".to_owned()));
        }
    }

    #[test]
    fn doubts_of_the_instruments_make_the_run_invalid_and_come_first_and_once() {
        let mut record = Record::good();
        record.aborted = Some("errors of home above 50%");
        record.steps.clear();
        record.doubts = [
            "sends were late",
            "no request was measured",
            "an order still moved",
        ]
        .map(str::to_owned)
        .to_vec();
        let (verdict, reasons) = judged(&record, &[]);
        assert_eq!(verdict, Verdict::Invalid);
        assert_eq!(
            reasons,
            [
                "sends were late",
                "an order still moved",
                "aborted: errors of home above 50%",
                "no request was measured",
            ]
        );
        let mut record = Record::good();
        record.doubts = vec!["sends were late".to_owned()];
        let expected = (Verdict::Invalid, vec!["sends were late".to_owned()]);
        assert_eq!(judged(&record, &[]), expected);
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
