//! The rules of the audit: compares what shoppers were promised with what the services hold. No I/O.
//!
//! Input: the run's ledger (one entry per order that a shopper tried to place) and the lines of the services' `/audit`
//! pages. Output: an [`AuditRow`] with every contradiction.
//!
//! An order whose outcome no shopper learned may exist or not. Either way, money, stock and messages must match it.

mod holdings;
mod money;

use std::collections::{BTreeMap, BTreeSet};

use results::record::{AuditRow, LedgerEntry, OrderOutcome, Orphaned};
use shop_contract::inventory::ReservationStatus;

pub use holdings::Holdings;
use holdings::{OrderHeld, Stock};

/// The most contradictions that are listed. Further ones are only counted.
const SHOWN: usize = 50;

/// Finds every contradiction. The caller sets `complete`, because it knows whether everything had settled.
pub fn check(ledger: &[LedgerEntry], held: &Holdings) -> AuditRow {
    let mut row = not_made(ledger);
    let mut violations = Vec::new();
    check_promises(ledger, held, &mut row, &mut violations);
    for (id, order) in &held.orders {
        check_order(id, order, held, &mut violations);
    }
    check_orphans(held, &mut violations);
    check_stock(held, &mut violations);
    money::check_sums(held, &mut row, &mut violations);
    row.orphaned = orphaned(held);
    if violations.len() > SHOWN {
        let more = violations.len() - SHOWN;
        violations.truncate(SHOWN);
        violations.push(format!("… and {more} more"));
    }
    row.violations = violations;
    row
}

/// The row of an audit that did not take place: only the counts that the ledger gives.
pub fn not_made(ledger: &[LedgerEntry]) -> AuditRow {
    let count = |outcome| ledger.iter().filter(|e| e.outcome == outcome).count() as u64;
    AuditRow {
        orders_promised: count(OrderOutcome::Promised),
        orders_unknown: count(OrderOutcome::Unknown),
        ..AuditRow::default()
    }
}

/// Compares each ledger entry with its order. Counts promised orders that are confirmed, and how the orders with an
/// unknown outcome ended.
fn check_promises(
    ledger: &[LedgerEntry],
    held: &Holdings,
    row: &mut AuditRow,
    violations: &mut Vec<String>,
) {
    let by_key: BTreeMap<(&str, &str), &str> = held
        .orders
        .iter()
        .map(|(id, o)| ((o.user_id.as_str(), o.key.as_str()), id.as_str()))
        .collect();
    for entry in ledger {
        let named = by_key.get(&(entry.user_id.as_str(), entry.key.as_str()));
        let order = named.and_then(|id| held.orders.get(*id));
        let key = &entry.key;
        match (entry.outcome, order) {
            (OrderOutcome::Promised, Some(o)) if o.is_confirmed() => {
                row.orders_found += 1;
                if entry.order_id.as_deref() != named.copied() {
                    violations.push(format!(
                        "order under key {key}: its shopper received a different id"
                    ));
                }
                if entry.total_minor.is_some_and(|t| t != o.total_minor) {
                    violations.push(format!(
                        "order under key {key}: its shopper received a different total"
                    ));
                }
            }
            (OrderOutcome::Promised, Some(o)) => violations.push(format!(
                "order under key {key} was promised and is {}",
                o.status.name()
            )),
            (OrderOutcome::Promised, None) => {
                violations.push(format!(
                    "order under key {key} was promised and does not exist"
                ));
            }
            (OrderOutcome::Accepted, Some(o)) => {
                if entry.total_minor.is_some_and(|t| t != o.total_minor) {
                    violations.push(format!(
                        "order under key {key}: its shopper received a different total"
                    ));
                }
            }
            (OrderOutcome::Accepted, None) => {
                violations.push(format!(
                    "order under key {key} was accepted and does not exist"
                ));
            }
            (OrderOutcome::Refused, Some(o)) if o.is_confirmed() => {
                violations.push(format!(
                    "order under key {key} was refused and is confirmed"
                ));
            }
            // Both outcomes are correct. An order that exists is checked below like any other.
            (OrderOutcome::Unknown, Some(o)) if o.is_confirmed() => row.unknown_came_true += 1,
            (OrderOutcome::Unknown, Some(o)) if !o.status.is_final() => {}
            (OrderOutcome::Unknown, _) => row.unknown_did_not += 1,
            // A refused order may be cancelled or may not exist.
            (OrderOutcome::Refused, _) => {}
        }
    }
}

/// Compares one order with its payments, its reservation and its messages.
fn check_order(id: &str, order: &OrderHeld, held: &Holdings, violations: &mut Vec<String>) {
    let confirmed = order.is_confirmed();
    let mut wrong = |what: String| {
        violations.push(format!("order {id} ({}): {what}", order.status.name()));
    };
    if !order.status.is_final() {
        wrong("has not come to its end".to_owned());
        return;
    }
    money::check_order(id, order, held, &mut wrong);
    match held.reservations.get(id) {
        Some((ReservationStatus::Committed, pieces)) if confirmed => {
            if *pieces != order.pieces {
                wrong(format!(
                    "{pieces} pieces left the stock, {} were bought",
                    order.pieces
                ));
            }
        }
        Some((ReservationStatus::Released, _)) if !confirmed => {}
        None if !confirmed => {}
        Some((status, _)) => wrong(format!("its stock is {}", status.name())),
        None => wrong("no stock was taken".to_owned()),
    }
    for kind in ["order.confirmed", "order.cancelled"] {
        let due = u32::from(kind == order.closing_message());
        let sent = held.messages(kind, id);
        if sent != due {
            wrong(format!(
                "{sent} messages of {kind} were sent, {due} should be"
            ));
        }
    }
}

/// Finds payments, charges and reservations without an order, and undelivered events.
fn check_orphans(held: &Holdings, violations: &mut Vec<String>) {
    for (order, payments) in &held.payments {
        if !held.orders.contains_key(order) {
            violations.push(format!(
                "{} payments for an order {order} that does not exist",
                payments.len()
            ));
        }
    }
    let payments: BTreeSet<&str> = held
        .payments
        .values()
        .flatten()
        .map(|(id, ..)| id.as_str())
        .collect();
    for reference in held.charges.keys() {
        if !payments.contains(reference.as_str()) {
            violations.push(format!(
                "the bank charged a payment {reference} that does not exist"
            ));
        }
    }
    for (order, (status, _)) in &held.reservations {
        if !held.orders.contains_key(order) {
            violations.push(format!(
                "stock is {} for an order {order} that does not exist",
                status.name()
            ));
        }
    }
    if held.outbox != 0 {
        violations.push(format!("{} events have not been delivered", held.outbox));
    }
}

/// Counts what is still held for orders that have ended or never existed.
fn orphaned(held: &Holdings) -> Orphaned {
    let is_open = |id: &str| held.orders.get(id).is_some_and(|o| !o.status.is_final());
    let stock = held.reservations.iter();
    let stock =
        stock.filter(|(id, (status, _))| *status == ReservationStatus::Held && !is_open(id));
    Orphaned {
        reservations: stock.count() as u64,
        payments: money::orphaned_payments(held),
        charges: money::orphaned_charges(held),
    }
}

/// Compares the totals of the stock with the totals of the orders.
fn check_stock(held: &Holdings, violations: &mut Vec<String>) {
    let Stock {
        initial,
        available,
        reserved,
        committed,
        contradictions,
    } = held.stock;
    if initial != available + reserved + committed {
        violations.push(format!(
            "stock: {initial} pieces at first, now {available} available + {reserved} reserved + {committed} gone"
        ));
    }
    if contradictions != 0 {
        violations.push(format!(
            "stock: the counts of {contradictions} products do not add up"
        ));
    }
    let bought: i64 = held
        .orders
        .values()
        .filter(|o| o.is_confirmed())
        .map(|o| o.pieces)
        .sum();
    if bought != committed {
        violations.push(format!(
            "stock: {committed} pieces are gone, {bought} were bought"
        ));
    }
    for (status, pieces) in [
        (ReservationStatus::Committed, committed),
        (ReservationStatus::Held, reserved),
    ] {
        let of_status = held.reservations.values().filter(|(s, _)| *s == status);
        let sum: i64 = of_status.map(|(_, pieces)| pieces).sum();
        if sum != pieces {
            violations.push(format!(
                "stock: {pieces} pieces are {}, the reservations add up to {sum}",
                status.name()
            ));
        }
    }
    if held.is_settled() && reserved != 0 {
        violations.push(format!("stock: {reserved} pieces are held for no order"));
    }
}

#[cfg(test)]
mod tests;
