//! Recovery from faults, on synthetic seconds: what must be detected, what must not, and when it is over.

use proptest::prelude::*;

use super::*;
use crate::record::{Quantiles, StepInterval};

/// When the fault of most tests is in force.
const FROM_S: f64 = 12.0;
const TO_S: f64 = 20.0;

/// Forty quiet seconds: a busy step, and one that is taken once or twice per second.
fn quiet() -> Vec<Interval> {
    (1..=40)
        .map(|t| {
            let mut second = Interval {
                t_s: f64::from(t),
                phase: "steady".to_owned(),
                measure: t > 5,
                sent: 62,
                ..Interval::default()
            };
            set(&mut second, "home", 60, 0, 5);
            set(&mut second, "buy_confirm", 1 + u64::from(t % 2 == 0), 0, 30);
            second
        })
        .collect()
}

/// Sets a step's counts and latencies in one second. Its p50 and p90 are `ms`, as if all requests had been alike.
fn set(second: &mut Interval, step: &str, requests: u64, failed: u64, ms: u64) {
    let row = StepInterval {
        requests,
        ok: requests - failed,
        failed,
        response_us: Quantiles {
            p50: ms * 1000,
            p90: ms * 1000,
            ..Quantiles::default()
        },
        ..StepInterval::default()
    };
    second.steps.insert(step.to_owned(), row);
    let sum = |of: fn(&StepInterval) -> u64| second.steps.values().map(of).sum();
    second.all.requests = sum(|row| row.requests);
    second.all.ok = sum(|row| row.ok);
    second.all.failed = sum(|row| row.failed);
}

/// Changes the seconds that lie in a time span.
fn set_in(seconds: &mut [Interval], from_s: f64, to_s: f64, change: impl Fn(&mut Interval)) {
    let span = |second: &&mut Interval| second.t_s > from_s && second.t_s <= to_s;
    seconds.iter_mut().filter(span).for_each(change);
}

fn measured(seconds: &[Interval]) -> (Option<f64>, Option<f64>) {
    let found = measure(seconds, FROM_S, TO_S);
    (found.detected_s, found.recovered_s)
}

#[test]
fn a_slow_busy_step_is_detected_in_its_first_second_and_recovers_when_it_is_fast_again() {
    let mut seconds = quiet();
    set_in(&mut seconds, 12.0, 23.0, |s| set(s, "home", 60, 0, 305));
    assert_eq!(measured(&seconds), (Some(1.0), Some(3.0)));
}

#[test]
fn a_slow_bank_is_detected_by_the_one_sparse_step_that_needs_it() {
    let mut seconds = quiet();
    set_in(&mut seconds, 12.0, 20.0, |s| {
        let requests = s.steps["buy_confirm"].requests;
        set(s, "buy_confirm", requests, 0, 330);
    });
    assert_eq!(measured(&seconds), (Some(2.0), Some(0.0)));
}

#[test]
fn what_deviated_is_named() {
    let mut seconds = quiet();
    set_in(&mut seconds, 12.0, 20.0, |s| {
        set(s, "home", 60, 20, 5);
        set(s, "buy_confirm", 3, 0, 330);
    });
    let found = measure(&seconds, FROM_S, TO_S);
    assert_eq!(found.detected_by, ["p90 of buy_confirm", "errors of home"]);
    let few_of_each = |s: &mut Interval| set(s, "home", 60, 3, 5);
    let mut seconds = quiet();
    set_in(&mut seconds, 12.0, 20.0, few_of_each);
    let found = measure(&seconds, FROM_S, TO_S);
    assert_eq!(found.detected_by, ["errors of all steps"]);
}

#[test]
fn a_step_taken_every_other_second_is_still_detected() {
    let mut seconds = quiet();
    for second in &mut seconds {
        let slow = second.t_s > FROM_S && second.t_s <= TO_S;
        let requests = if second.t_s % 2.0 == 0.0 { 2 } else { 0 };
        set(
            second,
            "buy_confirm",
            requests,
            0,
            if slow { 330 } else { 30 },
        );
    }
    let (detected_s, recovered_s) = measured(&seconds);
    assert_eq!((detected_s, recovered_s), (Some(4.0), Some(0.0)));
}

#[test]
fn errors_of_a_sparse_step_are_detected_among_many_requests() {
    let mut seconds = quiet();
    set_in(&mut seconds, 12.0, 22.0, |s| {
        set(s, "home", 300, 0, 5);
        let requests = s.steps["buy_confirm"].requests;
        set(s, "buy_confirm", requests, requests, 30);
    });
    assert_eq!(measured(&seconds), (Some(2.0), Some(2.0)));
}

#[test]
fn errors_over_all_steps_are_detected_if_no_single_step_deviates() {
    let mut seconds = quiet();
    set_in(&mut seconds, 14.0, 20.0, |s| set(s, "home", 60, 3, 5));
    assert_eq!(measured(&seconds), (Some(3.0), Some(0.0)));
}

#[test]
fn errors_from_before_the_fault_are_no_deviation() {
    let mut seconds = quiet();
    for second in &mut seconds {
        set(second, "home", 60, 3, 5);
    }
    assert_eq!(measured(&seconds), (None, Some(0.0)));
}

#[test]
fn a_kill_that_retries_hide_is_never_detected_and_needs_no_recovery() {
    let mut seconds = quiet();
    // Retries leave a single failure and a few slow requests.
    set_in(&mut seconds, 12.0, 13.0, |s| {
        set(s, "home", 60, 1, 5);
        set(s, "buy_confirm", 1, 0, 250);
    });
    assert_eq!(measured(&seconds), (None, Some(0.0)));
}

#[test]
fn a_shop_that_stays_slow_has_not_recovered() {
    let mut seconds = quiet();
    set_in(&mut seconds, 12.0, 40.0, |s| set(s, "home", 60, 0, 305));
    assert_eq!(measured(&seconds), (Some(1.0), None));
}

#[test]
fn a_run_that_ends_with_the_fault_has_not_shown_recovery() {
    let mut seconds = quiet();
    set_in(&mut seconds, 12.0, 20.0, |s| set(s, "home", 60, 0, 305));
    for end in [20, 21, 22] {
        assert_eq!(measured(&seconds[..end]), (Some(1.0), None), "{end}");
    }
    assert_eq!(measured(&seconds[..23]), (Some(1.0), Some(0.0)));
}

#[test]
fn a_relapse_within_three_seconds_starts_the_count_again() {
    let mut seconds = quiet();
    set_in(&mut seconds, 12.0, 21.0, |s| set(s, "home", 60, 0, 305));
    set_in(&mut seconds, 23.0, 24.0, |s| set(s, "home", 60, 0, 305));
    assert_eq!(measured(&seconds), (Some(1.0), Some(4.0)));
}

#[test]
fn a_rush_long_after_recovery_is_not_charged_to_the_fault() {
    let mut seconds = quiet();
    set_in(&mut seconds, 12.0, 21.0, |s| set(s, "home", 60, 0, 305));
    set_in(&mut seconds, 30.0, 40.0, |s| set(s, "home", 200, 9, 905));
    assert_eq!(measured(&seconds), (Some(1.0), Some(1.0)));
}

#[test]
fn a_shop_that_answers_nothing_is_out_of_its_steady_state() {
    let mut seconds = quiet();
    set_in(&mut seconds, 13.0, 22.0, |s| {
        s.steps.clear();
        s.all = StepInterval::default();
    });
    assert_eq!(measured(&seconds), (Some(2.0), Some(2.0)));
}

#[test]
fn silence_of_the_step_that_was_slow_is_no_recovery() {
    let mut seconds = quiet();
    set_in(&mut seconds, 12.0, 20.0, |s| {
        set(s, "buy_confirm", 3, 0, 330)
    });
    set_in(&mut seconds, 20.0, 40.0, |s| set(s, "buy_confirm", 0, 0, 0));
    assert_eq!(measured(&seconds).1, None);
    set(&mut seconds[29], "buy_confirm", 1, 0, 30);
    assert_eq!(measured(&seconds).1, Some(0.0));
}

#[test]
fn an_earlier_fault_is_kept_out_of_the_baseline() {
    let mut seconds = quiet();
    set_in(&mut seconds, 6.0, 20.0, |s| set(s, "home", 60, 0, 305));
    set_in(&mut seconds, 6.0, 12.0, |s| {
        s.faults = vec!["other".to_owned()]
    });
    assert_eq!(measured(&seconds).0, Some(1.0));
}

#[test]
fn a_cold_start_does_not_count_as_the_steady_state() {
    let mut seconds = quiet();
    set_in(&mut seconds, 0.0, 5.0, |s| set(s, "home", 60, 0, 900));
    set_in(&mut seconds, 9.0, 12.0, |s| set(s, "home", 60, 0, 305));
    let found = measure(&seconds, 9.0, 12.0);
    assert_eq!(
        (found.detected_s, found.recovered_s),
        (Some(1.0), Some(0.0))
    );
}

#[test]
fn a_fault_within_one_second_is_detected_in_that_second() {
    let mut seconds = quiet();
    set_in(&mut seconds, 12.0, 13.0, |s| set(s, "home", 60, 0, 305));
    let found = measure(&seconds, 12.25, 12.75);
    assert_eq!(
        (found.detected_s, found.recovered_s),
        (Some(0.75), Some(0.25))
    );
}

#[test]
fn an_effect_that_shows_only_after_the_fault_is_detected_then() {
    let mut seconds = quiet();
    set_in(&mut seconds, 21.0, 24.0, |s| set(s, "home", 60, 6, 5));
    assert_eq!(measured(&seconds), (Some(10.0), Some(4.0)));
}

#[test]
fn without_a_baseline_nothing_is_measured() {
    assert_eq!(measure(&[], 0.0, 5.0), Recovery::default());
    assert_eq!(measure(&quiet(), 0.0, 5.0), Recovery::default());
}

proptest! {
    /// Latencies that vary by a third, single failures, and occasional slow purchases are never a detection.
    #[test]
    fn noise_is_not_detected(
        noise in prop::collection::vec((1u64..=3, 66u64..=133, 66u64..=133, 0u64..=1), 40),
        spike_at in 0usize..3,
    ) {
        let mut seconds = quiet();
        for (i, (second, (buys, home, buy, failed))) in seconds.iter_mut().zip(noise).enumerate() {
            set(second, "home", 60, failed, 5 * home / 100);
            set(second, "buy_confirm", buys, 0, 30 * buy / 100);
            if i % 3 == spike_at {
                let row = second.steps.get_mut("buy_confirm").unwrap();
                row.response_us.p90 = 400_000;
                if row.requests == 1 {
                    row.response_us.p50 = 400_000;
                }
            }
        }
        let expected = Recovery { recovered_s: Some(0.0), ..Recovery::default() };
        prop_assert_eq!(measure(&seconds, FROM_S, TO_S), expected);
    }

    /// For any seconds, times are consistent.
    #[test]
    fn times_are_never_negative(
        rows in prop::collection::vec((0u64..50, 0u64..50, 1u64..2000), 40),
        from in 0u32..35,
        lasts in 1u32..20,
    ) {
        let mut seconds = quiet();
        for (second, (requests, failed, ms)) in seconds.iter_mut().zip(rows) {
            set(second, "home", requests, failed.min(requests), ms);
        }
        let (from_s, to_s) = (f64::from(from) + 0.5, f64::from(from + lasts) + 0.25);
        let found = measure(&seconds, from_s, to_s);
        if let Some(detected_s) = found.detected_s {
            prop_assert!(detected_s > 0.0);
        }
        if let Some(recovered_s) = found.recovered_s {
            prop_assert!(recovered_s >= 0.0);
        }
        prop_assert!(found.detected_s.is_some() || found.recovered_s.is_none_or(|s| s == 0.0));
    }
}
