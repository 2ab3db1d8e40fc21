//! The retry budget: never exceeded, and used to the full.

use proptest::prelude::*;
use shop_resilience::{Moment, RetryBudget, RetryBudgetConfig};

use crate::virtual_time::{at_ms, ms};

/// Some requests, then some attempts to retry, then time passes.
#[derive(Debug, Clone)]
struct Burst {
    requests: usize,
    retries: usize,
    gap_ms: u64,
    /// How far behind the others the clock of this caller is.
    behind_ms: u64,
}

fn bursts() -> impl Strategy<Value = Vec<Burst>> {
    let burst = (0..200usize, 0..150usize, 0..4000u64, 0..300u64).prop_map(
        |(requests, retries, gap_ms, behind_ms)| Burst {
            requests,
            retries,
            gap_ms,
            behind_ms,
        },
    );
    prop::collection::vec(burst, 1..40)
}

fn within(events: &[Moment], now: Moment, span_ms: u64) -> f64 {
    events
        .iter()
        .filter(|e| now.since(**e) < ms(span_ms))
        .count() as f64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_window_holds_more_retries_than_its_requests_and_the_floor_pay_for(bursts in bursts()) {
        let mut budget = RetryBudget::new(RetryBudgetConfig::default());
        let (mut requests, mut retries) = (Vec::new(), Vec::new());
        let mut clock = 1000;
        let mut now = at_ms(0);
        for burst in bursts {
            clock += burst.gap_ms;
            let at = at_ms(clock - burst.behind_ms);
            now = now.max(at);
            for _ in 0..burst.requests {
                budget.record_request(at);
                requests.push(now);
            }
            for _ in 0..burst.retries {
                let granted = budget.try_withdraw(at);
                let retries_then = within(&retries, now, 10_000) + 1.0;
                if granted {
                    let paid = 0.2 * within(&requests, now, 10_000) + 100.0;
                    prop_assert!(retries_then <= paid + 1e-6, "{retries_then} granted, {paid} paid");
                    retries.push(now);
                } else {
                    // The slot that is only half within the window may be withheld, nothing more.
                    let held = within(&retries, now, 10_250) + 1.0;
                    let paid = 0.2 * within(&requests, now, 9_750) + 100.0;
                    prop_assert!(held > paid - 1e-6, "refused at {held} of {paid}");
                }
            }
        }
    }
}

#[test]
fn a_new_budget_has_the_floor_and_regains_it_after_a_window() {
    let mut budget = RetryBudget::new(RetryBudgetConfig::default());
    let granted =
        |budget: &mut RetryBudget, now| (0..500).filter(|_| budget.try_withdraw(now)).count();
    assert_eq!(granted(&mut budget, at_ms(0)), 100);
    assert_eq!(granted(&mut budget, at_ms(9_999)), 0);
    assert_eq!(granted(&mut budget, at_ms(10_250)), 100);
}

#[test]
fn without_a_bound_every_retry_is_granted() {
    let mut budget = RetryBudget::new(RetryBudgetConfig::unbounded());
    assert!((0..10_000).all(|_| budget.try_withdraw(at_ms(0))));
}
