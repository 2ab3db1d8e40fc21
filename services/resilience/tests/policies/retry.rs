//! Retries: only where they may help, never where they are not allowed, and in time.

use std::time::Duration;

use proptest::prelude::*;
use shop_resilience::{
    Deadline, Moment, NoRetry, Outcome, RetryBudget, RetryBudgetConfig, RetryPolicy, RetryReason,
    Tried,
};

use crate::virtual_time::{Draws, at_ms, ms};

const BROKEN: Outcome = Outcome::Retryable {
    reason: RetryReason::Reset,
    retry_after: None,
};

fn tried(outcome: Outcome) -> Tried {
    Tried {
        attempt: 1,
        outcome,
        repeatable: true,
        deadline: None,
        now: Moment::ORIGIN,
        draw: 0.5,
    }
}

fn budget() -> RetryBudget {
    RetryBudget::new(RetryBudgetConfig::default())
}

/// A budget with a single token.
fn one_token() -> RetryBudget {
    RetryBudget::new(RetryBudgetConfig {
        ratio: 0.0,
        floor_per_s: 0.1,
        window: Duration::from_secs(10),
    })
}

proptest! {
    #[test]
    fn a_wait_is_within_its_range_and_the_range_doubles_up_to_the_cap(
        attempt in any::<u32>(),
        draw in any::<f64>(),
    ) {
        let policy = RetryPolicy::default();
        let longest = policy.backoff(attempt, 1.0);
        prop_assert!(policy.backoff(attempt, draw) <= longest);
        prop_assert!(longest <= policy.cap);
        let next = policy.backoff(attempt.saturating_add(1), 1.0);
        prop_assert!(next >= longest);
        prop_assert!(attempt == 0 || attempt == u32::MAX || next == (longest * 2).min(policy.cap));
    }

    #[test]
    fn a_retry_comes_after_what_was_asked_for_and_leaves_time_for_the_try(
        left_ms in 0u64..8000,
        asked_ms in prop::option::of(0u64..8000),
        attempt in 1u32..5,
        draw in 0.0..1.0f64,
    ) {
        let policy = RetryPolicy::default();
        let asked = asked_ms.map(ms);
        let deadline = Deadline::after(Moment::ORIGIN, ms(left_ms));
        let outcome = Outcome::of_status(503, false, asked);
        let tried = Tried { attempt, deadline: Some(deadline), draw, ..tried(outcome) };
        let asked = asked.unwrap_or_default();
        match policy.may_retry(&tried, &mut budget()) {
            Ok(wait) => {
                prop_assert!(wait >= asked && asked <= policy.longest_retry_after);
                prop_assert!(attempt < policy.max_attempts);
                prop_assert!(deadline.admits(Moment::ORIGIN + wait, policy.floor));
            }
            Err(NoRetry::AttemptsSpent) => prop_assert!(attempt >= policy.max_attempts),
            Err(NoRetry::AskedToWait) => prop_assert!(asked > policy.longest_retry_after),
            Err(NoRetry::DeadlineNear) => {
                let wait = asked + policy.backoff(attempt, draw);
                prop_assert!(ms(left_ms) < wait + policy.floor);
            }
            Err(other) => prop_assert!(false, "{other:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn when_everything_fails_the_load_grows_by_a_fifth_and_the_floor(
        rate in 1u64..2000,
        seed in any::<u64>(),
    ) {
        let policy = RetryPolicy::default();
        let mut budget = budget();
        let mut draws = Draws(seed);
        let mut retries = 0u64;
        let calls = rate * 10;
        for call in 0..calls {
            let mut now = at_ms(call * 1000 / rate);
            budget.record_request(now);
            let mut attempt = 1;
            while let Ok(wait) = policy.may_retry(
                &Tried { attempt, now, draw: draws.draw(), ..tried(BROKEN) },
                &mut budget,
            ) {
                now = now + wait;
                attempt += 1;
                retries += 1;
            }
        }
        prop_assert!(retries as f64 <= 0.2 * calls as f64 + 100.0);
        prop_assert!(retries as f64 >= (0.18 * calls as f64 + 100.0).min(2.0 * calls as f64) - 1.0);
    }
}

#[test]
fn shed_refused_and_successful_calls_are_not_retried() {
    let statuses = [
        (200, false),
        (404, false),
        (409, false),
        (501, false),
        (503, true),
        (429, false),
    ];
    for (status, shed) in statuses {
        let outcome = Outcome::of_status(status, shed, None);
        let verdict = RetryPolicy::default().may_retry(&tried(outcome), &mut budget());
        assert_eq!(verdict, Err(NoRetry::NotRetryable), "{status}");
    }
    for status in [408, 425, 500, 502, 503, 504] {
        let outcome = Outcome::of_status(status, false, None);
        let verdict = RetryPolicy::default().may_retry(&tried(outcome), &mut budget());
        assert!(verdict.is_ok(), "{status}");
    }
}

#[test]
fn a_throttling_callee_is_tried_again_when_it_said_when() {
    let outcome = Outcome::of_status(429, false, Some(ms(700)));
    let wait = RetryPolicy::default().may_retry(&tried(outcome), &mut budget());
    assert!(wait.is_ok_and(|w| w >= ms(700)));
}

#[test]
fn a_call_that_may_not_be_repeated_is_not_retried() {
    for reason in RetryReason::ALL {
        let outcome = Outcome::Retryable {
            reason,
            retry_after: None,
        };
        let tried = Tried {
            repeatable: false,
            ..tried(outcome)
        };
        let verdict = RetryPolicy::default().may_retry(&tried, &mut budget());
        assert_eq!(verdict, Err(NoRetry::NotRepeatable));
    }
}

#[test]
fn a_refused_retry_takes_no_token() {
    let policy = RetryPolicy::default();
    let mut budget = one_token();
    let late = Deadline::after(Moment::ORIGIN, ms(1));
    for refused in [
        Tried {
            attempt: 3,
            ..tried(BROKEN)
        },
        Tried {
            repeatable: false,
            ..tried(BROKEN)
        },
        Tried {
            deadline: Some(late),
            ..tried(BROKEN)
        },
        tried(Outcome::Shed),
        tried(Outcome::of_status(503, false, Some(ms(60_000)))),
    ] {
        let verdict = policy.may_retry(&refused, &mut budget);
        assert!(
            !matches!(verdict, Ok(_) | Err(NoRetry::BudgetSpent)),
            "{refused:?}"
        );
    }
    assert!(policy.may_retry(&tried(BROKEN), &mut budget).is_ok());
    assert_eq!(
        policy.may_retry(&tried(BROKEN), &mut budget),
        Err(NoRetry::BudgetSpent)
    );
}
