//! Tests of the audit rules: every contradiction between an order and its money, stock and messages is found.

use shop_contract::audit::AuditLine;
use shop_contract::bank::ChargeStatus;
use shop_contract::order::OrderStatus;
use shop_contract::payment::PaymentStatus;

use super::*;

fn entry(outcome: OrderOutcome) -> LedgerEntry {
    LedgerEntry {
        t_s: 1.0,
        key: "k".to_owned(),
        user_id: "u".to_owned(),
        outcome,
        order_id: Some("o".to_owned()),
        total_minor: Some(500),
    }
}

fn order(status: OrderStatus) -> AuditLine {
    AuditLine::Order {
        id: "o".to_owned(),
        user_id: "u".to_owned(),
        key: "k".to_owned(),
        status,
        total_minor: 500,
        pieces: 2,
    }
}

fn payment(status: PaymentStatus) -> AuditLine {
    AuditLine::Payment {
        id: "p".to_owned(),
        order_id: "o".to_owned(),
        status,
        amount_minor: 500,
    }
}

fn charge(status: ChargeStatus) -> AuditLine {
    AuditLine::Charge {
        id: "c".to_owned(),
        reference: "p".to_owned(),
        status,
        amount_minor: 500,
    }
}

fn reservation(status: ReservationStatus) -> AuditLine {
    AuditLine::Reservation {
        id: "o".to_owned(),
        status,
        pieces: 2,
    }
}

fn stock(reserved: i64, committed: i64) -> AuditLine {
    AuditLine::Stock {
        initial: 10,
        available: 10 - reserved - committed,
        reserved,
        committed,
        contradictions: 0,
    }
}

fn message(kind: &str) -> AuditLine {
    AuditLine::Notification {
        id: "n".to_owned(),
        subject: "o".to_owned(),
        kind: kind.to_owned(),
        channel: "email".to_owned(),
        status: "kept".to_owned(),
    }
}

fn confirmed() -> Vec<AuditLine> {
    vec![
        order(OrderStatus::Confirmed),
        payment(PaymentStatus::Captured),
        charge(ChargeStatus::Captured),
        reservation(ReservationStatus::Committed),
        stock(0, 2),
        message("order.confirmed"),
        AuditLine::Outbox { pending: 0 },
    ]
}

fn declined() -> Vec<AuditLine> {
    vec![
        order(OrderStatus::Cancelled),
        payment(PaymentStatus::Declined),
        charge(ChargeStatus::Declined),
        reservation(ReservationStatus::Released),
        stock(0, 0),
        message("order.cancelled"),
    ]
}

fn violations(outcome: OrderOutcome, lines: Vec<AuditLine>) -> Vec<String> {
    check(&[entry(outcome)], &Holdings::of(lines)).violations
}

#[test]
fn a_consistent_shop_has_no_violations() {
    let row = check(&[entry(OrderOutcome::Promised)], &Holdings::of(confirmed()));
    assert_eq!(row.violations, Vec::<String>::new());
    assert_eq!((row.orders_promised, row.orders_found), (1, 1));
    for outcome in [
        OrderOutcome::Refused,
        OrderOutcome::Unknown,
        OrderOutcome::Accepted,
    ] {
        assert_eq!(violations(outcome, declined()), Vec::<String>::new());
    }
    assert_eq!(
        violations(OrderOutcome::Unknown, confirmed()),
        Vec::<String>::new()
    );
    assert_eq!(
        violations(OrderOutcome::Unknown, vec![stock(0, 0)]),
        Vec::<String>::new()
    );
}

/// Replaces the line of the same kind, or with `None` removes it.
fn with(mut lines: Vec<AuditLine>, like: &AuditLine, new: Option<AuditLine>) -> Vec<AuditLine> {
    let kind = std::mem::discriminant(like);
    let at = lines
        .iter()
        .position(|l| std::mem::discriminant(l) == kind)
        .unwrap();
    lines.remove(at);
    lines.extend(new);
    lines
}

#[test]
fn each_contradiction_is_found() {
    let any_payment = payment(PaymentStatus::Captured);
    let any_charge = charge(ChargeStatus::Captured);
    let any_hold = reservation(ReservationStatus::Held);
    let any_message = message("");
    let any_order = order(OrderStatus::Placed);
    let second = |line: AuditLine| [confirmed(), vec![line]].concat();
    let cases = [
        ("promised and does not exist", vec![stock(0, 0)]),
        ("promised and is cancelled", declined()),
        (
            "has not come to its end",
            with(confirmed(), &any_order, Some(order(OrderStatus::Paid))),
        ),
        (
            "0 payments are captured, 1 should be",
            with(
                confirmed(),
                &any_payment,
                Some(payment(PaymentStatus::Refunded)),
            ),
        ),
        (
            "2 payments are captured",
            second(payment(PaymentStatus::Captured)),
        ),
        (
            "the bank took 0 for payment p, 500 is due",
            with(confirmed(), &any_charge, None),
        ),
        (
            "the bank took 1000 for payment p",
            second(charge(ChargeStatus::Captured)),
        ),
        (
            "its stock is held",
            with(
                confirmed(),
                &any_hold,
                Some(reservation(ReservationStatus::Held)),
            ),
        ),
        ("no stock was taken", with(confirmed(), &any_hold, None)),
        (
            "0 messages of order.confirmed",
            with(confirmed(), &any_message, None),
        ),
        (
            "2 messages of order.confirmed",
            second(message("order.confirmed")),
        ),
        (
            "3 pieces are gone, 2 were bought",
            with(confirmed(), &stock(0, 0), Some(stock(0, 3))),
        ),
        (
            "1 pieces are held for no order",
            with(confirmed(), &stock(0, 0), Some(stock(1, 2))),
        ),
        (
            "4 events have not been delivered",
            with(
                confirmed(),
                &AuditLine::Outbox { pending: 0 },
                Some(AuditLine::Outbox { pending: 4 }),
            ),
        ),
    ];
    for (expected, lines) in cases {
        let found = violations(OrderOutcome::Promised, lines);
        assert!(
            found.iter().any(|v| v.contains(expected)),
            "no `{expected}` in {found:?}"
        );
    }
}

#[test]
fn money_taken_for_an_order_that_was_refused_is_found() {
    let kept = with(
        declined(),
        &charge(ChargeStatus::Declined),
        Some(charge(ChargeStatus::Captured)),
    );
    let found = violations(OrderOutcome::Refused, kept);
    assert!(
        found
            .iter()
            .any(|v| v.contains("the bank took 500 for payment p, 0 is due")),
        "{found:?}"
    );
    let found = violations(OrderOutcome::Refused, confirmed());
    assert!(
        found
            .iter()
            .any(|v| v.contains("was refused and is confirmed")),
        "{found:?}"
    );
}

#[test]
fn payments_and_stock_without_an_order_are_found() {
    let stray = vec![
        payment(PaymentStatus::Captured),
        reservation(ReservationStatus::Held),
        stock(2, 0),
    ];
    let found = violations(OrderOutcome::Unknown, stray);
    assert!(
        found
            .iter()
            .any(|v| v.contains("payments for an order o that does not exist"))
    );
    assert!(
        found
            .iter()
            .any(|v| v.contains("stock is held for an order o that does not exist"))
    );
}

fn checked(outcome: OrderOutcome, lines: Vec<AuditLine>) -> AuditRow {
    check(&[entry(outcome)], &Holdings::of(lines))
}

fn refunded() -> Vec<AuditLine> {
    vec![
        order(OrderStatus::Cancelled),
        payment(PaymentStatus::Refunded),
        charge(ChargeStatus::Refunded),
        reservation(ReservationStatus::Released),
        stock(0, 0),
        message("order.cancelled"),
    ]
}

#[test]
fn captures_and_refunds_are_summed_up() {
    let row = checked(OrderOutcome::Refused, refunded());
    assert_eq!(row.violations, Vec::<String>::new());
    let sums = |row: &AuditRow| (row.captured_minor, row.refunded_minor, row.confirmed_minor);
    assert_eq!(sums(&row), (500, 500, 0));
    let row = checked(OrderOutcome::Promised, confirmed());
    assert_eq!(sums(&row), (500, 0, 500));
    assert_eq!(row.orphaned, Orphaned::default());
}

#[test]
fn a_refund_held_by_only_one_side_is_found() {
    let bank = with(
        refunded(),
        &charge(ChargeStatus::Declined),
        Some(charge(ChargeStatus::Declined)),
    );
    let shop = with(
        refunded(),
        &payment(PaymentStatus::Declined),
        Some(payment(PaymentStatus::Declined)),
    );
    for (lines, expected) in [
        (bank, "the bank gave back 0 for payment p, 500 is due"),
        (shop, "the bank gave back 500 for payment p, 0 is due"),
    ] {
        let found = violations(OrderOutcome::Refused, lines);
        assert!(found.iter().any(|v| v.contains(expected)), "{found:?}");
    }
}

#[test]
fn a_wrong_total_of_money_is_found() {
    let raised = AuditLine::Charge {
        id: "c".to_owned(),
        reference: "p".to_owned(),
        status: ChargeStatus::Captured,
        amount_minor: 501,
    };
    let lines = with(confirmed(), &raised, Some(raised.clone()));
    let found = violations(OrderOutcome::Promised, lines);
    let whole =
        "the bank took 501 and gave back 0, which leaves 501; the confirmed orders come to 500";
    assert!(found.iter().any(|v| v.contains(whole)), "{found:?}");
}

#[test]
fn orphaned_holdings_are_counted() {
    let orphans = vec![
        payment(PaymentStatus::Captured),
        reservation(ReservationStatus::Held),
        stock(2, 0),
    ];
    let row = checked(OrderOutcome::Unknown, orphans);
    let counts = |o: Orphaned| (o.reservations, o.payments, o.charges);
    assert_eq!(counts(row.orphaned), (1, 1, 0));
    let kept = with(
        declined(),
        &charge(ChargeStatus::Declined),
        Some(charge(ChargeStatus::Captured)),
    );
    let row = checked(OrderOutcome::Refused, kept);
    assert_eq!(counts(row.orphaned), (0, 0, 1));
    let under_way = vec![
        order(OrderStatus::Reserved),
        payment(PaymentStatus::Pending),
        reservation(ReservationStatus::Held),
        stock(2, 0),
    ];
    let row = checked(OrderOutcome::Unknown, under_way);
    assert_eq!(row.orphaned, Orphaned::default(), "it is still needed");
}

#[test]
fn unknown_outcomes_are_counted_by_how_the_order_ended() {
    let ends = |lines| {
        let row = checked(OrderOutcome::Unknown, lines);
        (
            row.orders_unknown,
            row.unknown_came_true,
            row.unknown_did_not,
        )
    };
    assert_eq!(ends(confirmed()), (1, 1, 0));
    assert_eq!(ends(declined()), (1, 0, 1));
    assert_eq!(ends(vec![stock(0, 0)]), (1, 0, 1));
    assert_eq!(ends(vec![order(OrderStatus::Paid)]), (1, 0, 0));
}

#[test]
fn an_ended_order_without_a_message_awaits_one() {
    assert!(!Holdings::of(confirmed()).awaits_messages());
    let without_message = with(confirmed(), &message(""), None);
    assert!(Holdings::of(without_message).awaits_messages());
    assert!(!Holdings::of(vec![order(OrderStatus::Paid)]).awaits_messages());
}
