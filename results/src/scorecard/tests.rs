//! Scorecards of faults, on synthetic seconds.

use super::*;
use crate::record::{Edge, LedgerEntry, OrderOutcome, PlannedDemand, Quantiles, Retries};

/// When the fault of most tests is in force.
const FROM_S: f64 = 20.0;
const TO_S: f64 = 28.0;

/// Fifty quiet seconds: a busy step and one that buys, two planned purchases per second, and calls on the path of an
/// order.
fn quiet() -> Vec<Interval> {
    (1..=50)
        .map(|t| {
            let mut second = Interval {
                t_s: f64::from(t),
                phase: "steady".to_owned(),
                measure: true,
                sent: 102,
                planned: PlannedDemand {
                    arrival_rate: 10.0,
                    sessions: 10,
                    steps: 102,
                    purchases: 2,
                },
                ..Interval::default()
            };
            set(&mut second, "home", 100, 0, 5);
            set(&mut second, "buy_confirm", 2, 0, 30);
            for edge in ["gateway→order", "order→payment", "payment→bank"] {
                call(&mut second, edge, 10, 0, false);
            }
            second
        })
        .collect()
}

/// Sets a step's counts and latencies in one second, as if all its requests had been alike.
fn set(second: &mut Interval, step: &str, requests: u64, failed: u64, ms: u64) {
    let us = ms * 1000;
    let row = StepInterval {
        requests,
        ok: requests - failed,
        failed,
        response_us: Quantiles {
            min: us,
            p50: us,
            p90: us,
            p95: us,
            p99: us,
            p999: us,
            max: us,
        },
        ..StepInterval::default()
    };
    second.steps.insert(step.to_owned(), row);
    let sum = |of: fn(&StepInterval) -> u64| second.steps.values().map(of).sum();
    second.all.requests = sum(|row| row.requests);
    second.all.failed = sum(|row| row.failed);
}

fn call(second: &mut Interval, edge: &str, attempts: u64, retries: u64, breaker_open: bool) {
    let counts = Edge {
        attempts,
        retries,
        breaker_open,
        ..Edge::default()
    };
    second.callers.insert(edge.to_owned(), counts);
}

fn change(seconds: &mut [Interval], from_s: f64, to_s: f64, change: impl Fn(&mut Interval)) {
    let span = |second: &&mut Interval| second.t_s > from_s && second.t_s <= to_s;
    seconds.iter_mut().filter(span).for_each(change);
}

/// Two promised orders of 1000 each in every second until `to_s`.
fn promises(from_s: u32, to_s: u32) -> Vec<LedgerEntry> {
    let at = |t: u32| [f64::from(t) - 0.7, f64::from(t) - 0.2];
    (from_s + 1..=to_s)
        .flat_map(at)
        .map(|t_s| order(t_s, OrderOutcome::Promised))
        .collect()
}

fn order(t_s: f64, outcome: OrderOutcome) -> LedgerEntry {
    LedgerEntry {
        t_s,
        key: String::new(),
        user_id: String::new(),
        outcome,
        order_id: None,
        total_minor: (outcome == OrderOutcome::Promised).then_some(1000),
    }
}

fn fault() -> FaultRow {
    FaultRow {
        name: "bank-slow".to_owned(),
        target: "bank".to_owned(),
        started_s: FROM_S,
        ended_s: TO_S,
        hits: 1,
        ..FaultRow::default()
    }
}

fn card(intervals: &[Interval], ledger: &[LedgerEntry], expect: &[Expectation]) -> FaultRow {
    let mut fault = fault();
    let run = RunData {
        intervals,
        ledger,
        expectations: expect,
    };
    run.complete(&mut fault);
    fault
}

fn score(intervals: &[Interval]) -> Score {
    card(intervals, &[], &[]).score.unwrap()
}

#[test]
fn a_slow_bank_is_detected_by_the_slow_step_and_costs_its_requests() {
    let mut seconds = quiet();
    change(&mut seconds, 20.0, 30.0, |s| {
        set(s, "buy_confirm", 2, 0, 330)
    });
    let fault = card(&seconds, &[], &[]);
    let score = fault.score.unwrap();
    assert_eq!(fault.detected_s, Some(2.0));
    assert_eq!(fault.detected_by, ["p90 of buy_confirm"]);
    assert_eq!((fault.recovered_s, score.felt_s), (Some(2.0), Some(2.0)));
    assert_eq!((score.from_s, score.to_s), (20.0, 30.0));
    assert_eq!(score.steady_error_ratio, Some(0.0));
    let steps: Vec<(&String, u64)> = score.steady.iter().map(|(s, f)| (s, f.p90_us)).collect();
    assert_eq!(steps, [(&"buy_confirm".to_owned(), 30_000)]);
    let expected = Requests {
        all: 1020,
        failed: 0,
        affected: Some(20),
    };
    assert_eq!(score.requests, expected);
}

#[test]
fn failures_of_the_steady_state_are_not_charged_to_the_fault() {
    let mut seconds = quiet();
    for second in &mut seconds {
        set(second, "home", 100, 4, 5);
    }
    change(&mut seconds, 20.0, 28.0, |s| set(s, "home", 100, 34, 5));
    let score = score(&seconds);
    assert_eq!(score.steady_error_ratio, Some(40.0 / 1020.0));
    assert_eq!(score.requests.failed, 8 * 34);
    assert_eq!(score.requests.affected, Some(8 * 30));
}

#[test]
fn slow_requests_are_counted_from_quantiles_as_a_lower_bound() {
    let row = |n, failed, us: [u64; 4]| StepInterval {
        requests: n,
        failed,
        response_us: Quantiles {
            min: us[0],
            p50: us[1],
            p90: us[2],
            p95: us[2],
            p99: us[2],
            p999: us[3],
            max: us[3],
        },
        ..StepInterval::default()
    };
    let limit = Some(100);
    assert_eq!(affected_requests(&row(10, 0, [200; 4]), limit), 10);
    assert_eq!(
        affected_requests(&row(10, 0, [50, 200, 200, 200]), limit),
        6
    );
    assert_eq!(affected_requests(&row(10, 0, [50, 50, 200, 200]), limit), 2);
    assert_eq!(affected_requests(&row(10, 0, [50, 50, 50, 200]), limit), 1);
    assert_eq!(affected_requests(&row(10, 0, [50; 4]), limit), 0);
    assert_eq!(affected_requests(&row(1, 0, [200; 4]), limit), 1);
    // Failures may be among the slow requests, so they are not added.
    assert_eq!(affected_requests(&row(10, 3, [50, 50, 200, 200]), limit), 3);
    assert_eq!(affected_requests(&row(10, 3, [200; 4]), None), 3);
}

#[test]
fn a_breaker_of_a_dependant_detects_what_no_shopper_feels() {
    let mut seconds = quiet();
    change(&mut seconds, 22.0, 25.0, |s| {
        call(s, "order→payment", 10, 0, true)
    });
    // This edge does not lead to the bank.
    change(&mut seconds, 20.0, 25.0, |s| {
        call(s, "cart→product", 10, 0, true)
    });
    let fault = card(&seconds, &[], &[]);
    let score = fault.score.unwrap();
    assert_eq!(fault.detected_s, Some(3.0));
    assert_eq!(fault.detected_by, ["breaker order→payment"]);
    assert_eq!((fault.recovered_s, score.felt_s), (Some(0.0), None));
    assert_eq!(score.breakers, ["order→payment"]);
    assert_eq!(score.to_s, TO_S, "never felt: until its end");
}

#[test]
fn the_first_deviation_detects_the_fault_and_an_older_open_breaker_does_not() {
    let mut seconds = quiet();
    change(&mut seconds, 20.0, 28.0, |s| set(s, "home", 100, 50, 5));
    change(&mut seconds, 15.0, 28.0, |s| {
        call(s, "gateway→order", 10, 0, true)
    });
    change(&mut seconds, 20.0, 28.0, |s| {
        call(s, "payment→bank", 10, 0, true)
    });
    change(&mut seconds, 23.0, 28.0, |s| {
        call(s, "order→payment", 10, 0, true)
    });
    let fault = card(&seconds, &[], &[]);
    assert_eq!(fault.detected_s, Some(1.0));
    assert_eq!(
        fault.detected_by,
        ["errors of home", "breaker payment→bank"]
    );
    let breakers = fault.score.unwrap().breakers;
    assert_eq!(breakers, ["payment→bank", "order→payment"]);
}

#[test]
fn retries_are_attempts_over_calls_at_the_target_and_in_the_shop() {
    let mut seconds = quiet();
    change(&mut seconds, 20.0, 28.0, |s| {
        call(s, "payment→bank", 15, 5, false)
    });
    let score = score(&seconds);
    let expected = Retries {
        before: Some(1.0),
        during: Some(1.5),
    };
    assert_eq!(score.retries, Some(expected));
    assert_eq!(score.retries_everywhere.unwrap().during, Some(35.0 / 30.0));
    for second in &mut seconds {
        second.callers.clear();
    }
    let without_edges = self::score(&seconds);
    assert_eq!(
        (without_edges.retries, without_edges.retries_everywhere),
        (None, None)
    );
    assert!(
        without_edges
            .unknown
            .iter()
            .any(|u| u.contains("no service was seen calling bank"))
    );
}

#[test]
fn orders_are_compared_with_planned_purchases() {
    let seconds = quiet();
    // All purchases are promised. During the fault there is one per second instead of two.
    let mut ledger = promises(0, 20);
    ledger.extend((21..=28).map(|t| order(f64::from(t) - 0.5, OrderOutcome::Promised)));
    ledger.push(order(25.0, OrderOutcome::Unknown));
    ledger.push(order(26.0, OrderOutcome::Refused));
    ledger.push(order(35.0, OrderOutcome::Unknown));
    let score = card(&seconds, &ledger, &[]).score.unwrap();
    let orders = score.orders.unwrap();
    assert_eq!((orders.promised, orders.expected), (8, 16.0));
    assert_eq!((orders.unknown, orders.refused, orders.accepted), (1, 1, 0));
    // All purchases succeed, so only half a second of purchases is uncertain.
    assert_eq!(orders.margin, 1.0);
    let revenue = score.revenue.unwrap();
    assert_eq!(
        (revenue.promised_minor, revenue.expected_minor),
        (8000, 16_000)
    );
}

#[test]
fn expected_orders_scale_with_the_plan_and_ignore_disturbed_seconds() {
    let mut seconds = quiet();
    change(&mut seconds, 20.0, 28.0, |s| s.planned.purchases = 6);
    change(&mut seconds, 0.0, 10.0, |s| {
        s.faults = vec!["other".to_owned()]
    });
    // Nobody bought while the other fault was in force. After that, half of the purchases succeed.
    let ledger: Vec<_> = promises(10, 20).into_iter().step_by(2).collect();
    let orders = card(&seconds, &ledger, &[]).score.unwrap().orders.unwrap();
    assert_eq!((orders.promised, orders.expected), (0, 24.0));
    assert!(orders.margin > 10.0, "which half is a matter of chance");
    change(&mut seconds, 0.0, 20.0, |s| s.planned.purchases = 0);
    let score = card(&seconds, &ledger, &[]).score.unwrap();
    assert_eq!((score.orders, score.revenue), (None, None));
    assert!(score.unknown[0].contains("no purchase was planned"));
}

#[test]
fn the_budget_is_that_of_the_scenario_or_one_per_cent() {
    let mut seconds = quiet();
    change(&mut seconds, 20.0, 28.0, |s| {
        set(s, "home", 100, 3, 5);
        set(s, "buy_confirm", 2, 1, 30);
    });
    let by_default = score(&seconds).budget;
    assert_eq!(by_default.failed, 32);
    assert!((by_default.allowed - 8.16).abs() < 1e-9);
    assert_eq!(by_default.worst.as_deref(), Some("home"));
    let errors = |step: &str, at_most, phase: Option<&str>| Expectation::Step {
        step: step.to_owned(),
        in_phase: phase.map(str::to_owned),
        limits: vec![Limit::Errors { at_most }],
    };
    let expect = [
        errors("home", 0.05, None),
        errors("home", 0.0, Some("another phase")),
        errors("buy_confirm", 0.25, Some("steady")),
    ];
    let by_scenario = card(&seconds, &[], &expect).score.unwrap().budget;
    assert_eq!((by_scenario.failed, by_scenario.allowed), (32, 44.0));
    assert_eq!(by_scenario.spent, Some(32.0 / 44.0));
    assert_eq!(by_scenario.worst.as_deref(), Some("buy_confirm"));
    let none = [errors("home", 0.0, None), errors("buy_confirm", 0.0, None)];
    let none = card(&seconds, &[], &none).score.unwrap().budget;
    assert_eq!((none.failed, none.spent), (32, None));
}

#[test]
fn unknown_values_are_listed() {
    let mut seconds = quiet();
    change(&mut seconds, 20.0, 50.0, |s| set(s, "home", 100, 50, 5));
    change(&mut seconds, 22.0, 24.0, |s| {
        s.faults = vec!["bank-slow".to_owned(), "order-down".to_owned()];
    });
    let fault = card(&seconds, &[], &[]);
    assert_eq!(fault.recovered_s, None);
    let score = fault.score.unwrap();
    assert_eq!(score.to_s, 50.0);
    let is_unknown = |words: &str| score.unknown.iter().any(|u| u.contains(words));
    assert!(is_unknown("not recovered from by the end of the record"));
    assert!(is_unknown("order-down overlapped"));
    let card = card(&seconds[20..], &[], &[]);
    let score = card.score.unwrap();
    assert_eq!(
        (score.steady_error_ratio, score.requests.affected),
        (None, None)
    );
    assert!(score.unknown[0].contains("nothing was measured before it"));
}

#[test]
fn the_role_of_a_target_is_the_callee() {
    let roles = ["bank", "order/1", "order/1->bank", "cart → product/0"].map(role_of);
    assert_eq!(roles, ["bank", "order", "bank", "product"]);
}
