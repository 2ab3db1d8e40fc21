//! When an experiment is to stop.

use std::time::Duration;

use chaos::{Abort, Guard};
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

fn half_fail(lasts: u64) -> Abort {
    Abort {
        step: None,
        limit: Limit::Errors { at_most: 0.5 },
        lasts: Duration::from_secs(lasts),
    }
}

/// The second at which a guard says stop, and its words.
fn stops(condition: Abort, seconds: &[Interval]) -> Option<(u64, String)> {
    let mut guard = Guard::new([condition]);
    seconds
        .iter()
        .find_map(|s| Some((s.t_s as u64, guard.judge(s)?)))
}

#[test]
fn it_stops_when_a_condition_has_held_for_its_time_without_a_break() {
    let seconds: Vec<Interval> = [0, 5, 9, 2, 5, 5, 6, 5]
        .into_iter()
        .zip(1..)
        .map(|(failed, t)| second(t, 10, failed))
        .collect();
    let (t, why) = stops(half_fail(3), &seconds).unwrap();
    assert_eq!(t, 7, "seconds five, six and seven");
    assert_eq!(
        why,
        "errors of all steps together were at 50% or more for 3s, 60% at last"
    );
    assert_eq!(stops(half_fail(5), &seconds), None);
}

#[test]
fn a_second_without_answers_says_nothing() {
    let bad = |t| second(t, 1, 1);
    let silent = |t| second(t, 0, 0);
    // One failure and then silence is not three seconds of failures.
    assert_eq!(
        stops(half_fail(3), &[bad(1), silent(2), silent(3), silent(4)]),
        None
    );
    // Failures with silence between them are.
    let (t, _) = stops(half_fail(3), &[bad(1), silent(2), bad(3)]).unwrap();
    assert_eq!(t, 3);
}

#[test]
fn a_step_is_judged_by_its_own_figures() {
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
    let condition = Abort {
        step: Some("buy_confirm".to_owned()),
        limit: Limit::Response {
            quantile: Quantile::P99,
            at_most: Duration::from_secs(10),
        },
        lasts: Duration::from_secs(2),
    };
    let seconds = [slow(1, 9_999_999), slow(2, 10_000_000), slow(3, 11_000_000)];
    let (t, why) = stops(condition, &seconds).unwrap();
    assert_eq!(t, 3);
    assert_eq!(
        why,
        "p99 of buy_confirm were at 10s or more for 2s, 11.00s at last"
    );
}
