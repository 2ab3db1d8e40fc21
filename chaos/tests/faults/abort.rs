//! The conditions on which an experiment stops.

use std::time::Duration;

use chaos::{AbortCondition, AbortMonitor};
use results::expect::{Limit, Quantile};
use results::record::{Interval, Quantiles, StepInterval};

fn second(t: u64, requests: u64, failed: u64) -> Interval {
    Interval {
        t_s: t as f64,
        all: StepInterval {
            requests,
            failed,
            ..StepInterval::default()
        },
        ..Interval::default()
    }
}

fn half_fail(lasts: u64) -> AbortCondition {
    AbortCondition {
        step: None,
        limit: Limit::Errors { at_most: 0.5 },
        lasts: Duration::from_secs(lasts),
    }
}

/// The second in which the condition stops the run, and the reason.
fn stops(condition: AbortCondition, seconds: &[Interval]) -> Option<(u64, String)> {
    let mut monitor = AbortMonitor::new([condition]);
    seconds
        .iter()
        .find_map(|s| Some((s.t_s as u64, monitor.check(s)?)))
}

#[test]
fn it_stops_when_a_condition_was_met_for_its_time_without_a_break() {
    let seconds: Vec<Interval> = [0, 5, 9, 2, 5, 5, 6, 5]
        .into_iter()
        .zip(1..)
        .map(|(failed, t)| second(t, 10, failed))
        .collect();
    let (t, reason) = stops(half_fail(3), &seconds).unwrap();
    assert_eq!(t, 7, "seconds five, six and seven");
    assert_eq!(
        reason,
        "errors of all steps together were at 50% or more for 3s, 60% at last"
    );
    assert_eq!(stops(half_fail(5), &seconds), None);
}

#[test]
fn a_second_without_replies_is_ignored() {
    let bad = |t| second(t, 1, 1);
    let silent = |t| second(t, 0, 0);
    // One failed second, then seconds without replies.
    assert_eq!(
        stops(half_fail(3), &[bad(1), silent(2), silent(3), silent(4)]),
        None
    );
    // Two failed seconds, with one without replies between them.
    let (t, _) = stops(half_fail(3), &[bad(1), silent(2), bad(3)]).unwrap();
    assert_eq!(t, 3);
}

#[test]
fn a_condition_on_a_step_uses_the_metrics_of_that_step() {
    let slow = |t, p99| Interval {
        steps: [(
            "buy_confirm".to_owned(),
            StepInterval {
                requests: 3,
                response_us: Quantiles {
                    p99,
                    ..Quantiles::default()
                },
                ..StepInterval::default()
            },
        )]
        .into(),
        ..second(t, 100, 100)
    };
    let condition = AbortCondition {
        step: Some("buy_confirm".to_owned()),
        limit: Limit::Response {
            quantile: Quantile::P99,
            at_most: Duration::from_secs(10),
        },
        lasts: Duration::from_secs(2),
    };
    let seconds = [slow(1, 9_999_999), slow(2, 10_000_000), slow(3, 11_000_000)];
    let (t, reason) = stops(condition, &seconds).unwrap();
    assert_eq!(t, 3);
    assert_eq!(
        reason,
        "p99 of buy_confirm were at 10s or more for 2s, 11.00s at last"
    );
}
