//! Judges each expectation against the record.

use std::time::Duration;

use syntax::units::show_duration;

use super::evidence::Evidence;
use super::expectation::{Expectation, Limit};
use crate::format::{percent, seconds, written};
use crate::record::{
    ExpectationRow, FaultRow, Metastability, MetastabilityRow, StepMetric, StepRow,
};

/// The text of the audit's row.
pub(super) const AUDIT_CLEAN: &str = "audit clean";

/// The text of the goodput's row.
pub(super) const GOODPUT_BACK: &str = "goodput back";

/// Judges expectations, in their order. Each gives at least one row.
pub fn judge(expectations: &[Expectation], evidence: &Evidence<'_>) -> Vec<ExpectationRow> {
    let mut rows = Vec::new();
    for expectation in expectations {
        match expectation {
            Expectation::Step {
                step,
                in_phase,
                limits,
            } => {
                for limit in limits {
                    rows.extend(step_rows(step, in_phase.as_deref(), *limit, evidence));
                }
            }
            Expectation::Recovery { within } => rows.push(recovery(*within, evidence.faults)),
            Expectation::GoodputBack => rows.push(goodput(evidence.metastability)),
            Expectation::Attempts { at_most } => rows.push(attempts(*at_most, evidence.faults)),
            Expectation::AuditClean => rows.push(audit(evidence)),
        }
    }
    rows
}

fn step_rows(
    step: &str,
    in_phase: Option<&str>,
    limit: Limit,
    evidence: &Evidence<'_>,
) -> Vec<ExpectationRow> {
    let phases: Vec<&str> = match in_phase {
        Some(phase) => vec![phase],
        None => {
            let measured = evidence.phases.iter().filter(|phase| phase.measure);
            measured.map(|phase| phase.name.as_str()).collect()
        }
    };
    if phases.is_empty() {
        return vec![ExpectationRow {
            text: format!("{step} {}", limit_text(limit)),
            held: false,
            observed: "no measured phase was entered".to_owned(),
            metric: None,
        }];
    }
    let row = |phase: &str| {
        let (held, observed) = match evidence.step(step, phase) {
            None => (false, "no requests".to_owned()),
            Some(row) => measured(limit, row),
        };
        ExpectationRow {
            text: format!("{step} {} in {phase}", limit_text(limit)),
            held,
            observed,
            metric: Some(StepMetric {
                step: step.to_owned(),
                phase: phase.to_owned(),
                column: column(limit).to_owned(),
                limit: at_most(limit),
            }),
        }
    };
    phases.into_iter().map(row).collect()
}

/// Whether the limit held, and the observed value.
fn measured(limit: Limit, row: &StepRow) -> (bool, String) {
    match limit {
        Limit::Response { quantile, at_most } => {
            let seen = Duration::from_micros(quantile.of(&row.response_us));
            let held = seen <= at_most;
            let mut shown = rounded(seen);
            // "800ms" would not explain why a limit of 800ms was missed. In that case all digits are shown.
            if !held && shown == rounded(at_most) {
                shown = show_duration(seen);
            }
            (held, format!("{shown} of {} requests", row.requests))
        }
        Limit::Errors { at_most } => {
            let ratio = row.failed as f64 / row.requests as f64;
            let observed = match row.failed {
                0 => format!("none of {} requests", row.requests),
                failed => format!("{} ({failed} of {} requests)", percent(ratio), row.requests),
            };
            (ratio <= at_most, observed)
        }
    }
}

fn recovery(within: Duration, faults: &[FaultRow]) -> ExpectationRow {
    let limit = within.as_secs_f64();
    let late: Vec<String> = faults
        .iter()
        .filter_map(|fault| match fault.recovered_s {
            None => Some(format!("{} was not recovered from", fault.name)),
            Some(took) if took > limit => Some(format!("{} took {}", fault.name, seconds(took))),
            Some(_) => None,
        })
        .collect();
    let slowest = faults
        .iter()
        .filter_map(|fault| Some((fault.recovered_s?, fault.name.as_str())))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let observed = match slowest {
        _ if !late.is_empty() => late.join(", "),
        None => "no fault was injected".to_owned(),
        Some((took, _)) if took <= 0.0 => "the steady state held throughout".to_owned(),
        Some((took, name)) => format!("{} after {name}", seconds(took)),
    };
    ExpectationRow {
        text: format!("recovery ≤ {}", show_duration(within)),
        // Without a fault there was nothing to recover from.
        held: late.is_empty() && !faults.is_empty(),
        observed,
        metric: None,
    }
}

/// The highest number of attempts per call while a fault was felt: at the fault's target or in the whole shop.
fn attempts(at_most: f64, faults: &[FaultRow]) -> ExpectationRow {
    let of_fault = |fault: &FaultRow| -> Option<f64> {
        let score = fault.score.as_ref()?;
        let seen = [&score.retries, &score.retries_everywhere];
        let during = seen.into_iter().flatten().filter_map(|r| r.during);
        during.max_by(f64::total_cmp)
    };
    let most = faults
        .iter()
        .filter_map(|fault| Some((of_fault(fault)?, fault.name.as_str())))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    ExpectationRow {
        text: format!("attempts per call ≤ {at_most}"),
        held: most.is_some_and(|(seen, _)| seen <= at_most),
        observed: match most {
            Some((seen, name)) => format!("{seen:.2} during {name}"),
            None => "no fault during which calls were seen".to_owned(),
        },
        metric: None,
    }
}

fn goodput(found: Option<&MetastabilityRow>) -> ExpectationRow {
    let (held, observed) = match found {
        None => (false, "no fault was injected".to_owned()),
        Some(row) => (row.verdict == Metastability::Recovered, goodput_seen(row)),
    };
    ExpectationRow {
        text: GOODPUT_BACK.to_owned(),
        held,
        observed,
        metric: None,
    }
}

/// What happened to the goodput, in words.
pub(crate) fn goodput_seen(row: &MetastabilityRow) -> String {
    match (&row.why, row.verdict) {
        (Some(why), Metastability::Unknown) => why.clone(),
        _ => format!(
            "{:.0}% of what it was: {:.1} good steps/s at {:.1} arrivals/s, before the faults {:.1} at {:.1}",
            100.0 * row.share(),
            row.ok_after,
            row.arrivals_after,
            row.ok_before,
            row.arrivals_before,
        ),
    }
}

fn audit(evidence: &Evidence<'_>) -> ExpectationRow {
    let audit = evidence.audit;
    let observed = match (audit.complete, audit.violations.len()) {
        (_, 1) => "1 contradiction".to_owned(),
        (_, n) if n > 1 => format!("{n} contradictions"),
        (false, _) => "the audit could not be completed".to_owned(),
        (true, _) => format!(
            "{} of {} promised orders found",
            audit.orders_found, audit.orders_promised
        ),
    };
    ExpectationRow {
        text: AUDIT_CLEAN.to_owned(),
        held: audit.complete && audit.is_clean(),
        observed,
        metric: None,
    }
}

fn limit_text(limit: Limit) -> String {
    format!("{} ≤ {}", column(limit), at_most(limit))
}

fn at_most(limit: Limit) -> String {
    match limit {
        Limit::Response { at_most, .. } => show_duration(at_most),
        Limit::Errors { at_most } => percent(at_most),
    }
}

fn column(limit: Limit) -> &'static str {
    match limit {
        Limit::Response { quantile, .. } => quantile.name(),
        Limit::Errors { .. } => "errors",
    }
}

/// A duration to three digits, as scenarios write it.
fn rounded(duration: Duration) -> String {
    written(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::expectation::Quantile;
    use super::super::fixture::Record;
    use super::*;
    use crate::record::{Retries, Score};

    fn p99(step: &str, in_phase: Option<&str>, at_most: Duration) -> Expectation {
        Expectation::Step {
            step: step.to_owned(),
            in_phase: in_phase.map(str::to_owned),
            limits: vec![Limit::Response {
                quantile: Quantile::P99,
                at_most,
            }],
        }
    }

    fn judged(record: &Record, expectation: Expectation) -> Vec<(String, bool, String)> {
        judge(&[expectation], &record.evidence())
            .into_iter()
            .map(|row| (row.text, row.held, row.observed))
            .collect()
    }

    fn row(text: &str, held: bool, observed: &str) -> (String, bool, String) {
        (text.to_owned(), held, observed.to_owned())
    }

    #[test]
    fn each_limit_has_its_row_and_names_its_metric() {
        let mut record = Record::good();
        record.step("buy_confirm", "steady").failed = 3;
        let expectation = Expectation::Step {
            step: "buy_confirm".to_owned(),
            in_phase: Some("steady".to_owned()),
            limits: vec![
                Limit::Response {
                    quantile: Quantile::P99,
                    at_most: Duration::from_millis(800),
                },
                Limit::Errors { at_most: 0.01 },
            ],
        };
        let rows = judge(std::slice::from_ref(&expectation), &record.evidence());
        let limits: Vec<(&str, &str)> = rows
            .iter()
            .filter_map(|row| row.metric.as_ref())
            .map(|metric| (metric.column.as_str(), metric.limit.as_str()))
            .collect();
        assert_eq!(limits, [("p99", "800ms"), ("errors", "1%")]);
        assert_eq!(
            judged(&record, expectation),
            [
                row(
                    "buy_confirm p99 ≤ 800ms in steady",
                    true,
                    "412ms of 200 requests"
                ),
                row(
                    "buy_confirm errors ≤ 1% in steady",
                    false,
                    "1.5% (3 of 200 requests)"
                ),
            ]
        );
    }

    #[test]
    fn without_a_phase_each_measured_phase_is_judged() {
        let mut record = Record::good();
        record.step("buy_confirm", "rush").response_us.p99 = 1_240_000;
        assert_eq!(
            judged(
                &record,
                p99("buy_confirm", None, Duration::from_millis(800))
            ),
            [
                row(
                    "buy_confirm p99 ≤ 800ms in steady",
                    true,
                    "412ms of 200 requests"
                ),
                row(
                    "buy_confirm p99 ≤ 800ms in rush",
                    false,
                    "1.24s of 200 requests"
                ),
            ]
        );
    }

    #[test]
    fn a_step_that_was_never_taken_holds_no_expectation() {
        let mut record = Record::good();
        record.steps.retain(|row| row.phase != "rush");
        let limit = Duration::from_secs(60);
        assert_eq!(
            judged(&record, p99("buy_confirm", None, limit))[1],
            row("buy_confirm p99 ≤ 1m in rush", false, "no requests")
        );
        record.step("buy_confirm", "steady").requests = 0;
        assert_eq!(
            judged(&record, p99("buy_confirm", Some("steady"), limit)),
            [row("buy_confirm p99 ≤ 1m in steady", false, "no requests")]
        );
    }

    #[test]
    fn the_limit_itself_is_within_it_and_a_narrow_miss_shows_every_digit() {
        let mut record = Record::good();
        let limit = Duration::from_millis(800);
        record.step("home", "steady").response_us.p99 = 800_000;
        let expectation = p99("home", Some("steady"), limit);
        assert!(judged(&record, expectation.clone())[0].1);
        record.step("home", "steady").response_us.p99 = 800_255;
        assert_eq!(
            judged(&record, expectation),
            [row(
                "home p99 ≤ 800ms in steady",
                false,
                "800255us of 200 requests"
            )]
        );
    }

    #[test]
    fn recovery_is_judged_over_every_fault() {
        let mut record = Record::good();
        let expectation = Expectation::Recovery {
            within: Duration::from_secs(10),
        };
        let judged_now = |record: &Record| judged(record, expectation.clone()).remove(0);
        let text = "recovery ≤ 10s";
        assert_eq!(
            judged_now(&record),
            row(text, true, "the steady state held throughout")
        );
        record.faults[0].recovered_s = Some(3.25);
        assert_eq!(
            judged_now(&record),
            row(text, true, "3.25s after bank-slow")
        );
        record.faults[0].recovered_s = Some(12.0);
        record.faults[1].recovered_s = None;
        assert_eq!(
            judged_now(&record),
            row(
                text,
                false,
                "bank-slow took 12s, order-down was not recovered from"
            )
        );
        record.faults.clear();
        assert_eq!(
            judged_now(&record),
            row(text, false, "no fault was injected")
        );
    }

    #[test]
    fn attempts_are_judged_by_the_highest_value() {
        let mut record = Record::good();
        let expectation = Expectation::Attempts { at_most: 1.3 };
        let judged_now = |record: &Record| judged(record, expectation.clone()).remove(0);
        let text = "attempts per call ≤ 1.3";
        assert_eq!(
            judged_now(&record),
            row(text, false, "no fault during which calls were seen")
        );
        let seen = |during| {
            Some(Retries {
                before: Some(1.0),
                during,
            })
        };
        record.faults[0].score = Some(Score {
            retries: seen(Some(1.2)),
            retries_everywhere: seen(Some(1.1)),
            ..Score::default()
        });
        assert_eq!(
            judged_now(&record),
            row(text, true, "1.20 during bank-slow")
        );
        record.faults[1].score = Some(Score {
            retries: seen(None),
            retries_everywhere: seen(Some(2.5)),
            ..Score::default()
        });
        assert_eq!(
            judged_now(&record),
            row(text, false, "2.50 during order-down")
        );
    }

    #[test]
    fn the_goodput_must_be_back() {
        let mut record = Record::good();
        let judged_now = |record: &Record| judged(record, Expectation::GoodputBack).remove(0);
        let text = "goodput back";
        assert_eq!(
            judged_now(&record),
            row(text, false, "no fault was injected")
        );
        let seen = |verdict, goodput_after, ok_after| MetastabilityRow {
            verdict,
            arrivals_before: 15.0,
            arrivals_after: 15.0,
            ok_before: 200.0,
            ok_after,
            goodput_before: 1.0,
            goodput_after,
            ..MetastabilityRow::default()
        };
        record.metastability = Some(seen(Metastability::Recovered, 0.97, 194.0));
        let observed = "97% of what it was: 194.0 good steps/s at 15.0 arrivals/s, before the faults 200.0 at 15.0";
        assert_eq!(judged_now(&record), row(text, true, observed));
        record.metastability = Some(seen(Metastability::Metastable, 0.3, 60.0));
        let (_, held, observed) = judged_now(&record);
        assert!(!held && observed.starts_with("30% of what it was"));
    }

    #[test]
    fn the_audit_must_be_complete_and_without_contradiction() {
        let mut record = Record::good();
        let judged_now = |record: &Record| judged(record, Expectation::AuditClean).remove(0);
        let text = "audit clean";
        assert_eq!(
            judged_now(&record),
            row(text, true, "212 of 212 promised orders found")
        );
        record.audit.orders_found = 211;
        assert!(!judged_now(&record).1);
        record.audit.violations.push("order o-1 is lost".to_owned());
        assert_eq!(judged_now(&record), row(text, false, "1 contradiction"));
        record.audit.violations.clear();
        record.audit.complete = false;
        assert_eq!(
            judged_now(&record),
            row(text, false, "the audit could not be completed")
        );
    }
}
