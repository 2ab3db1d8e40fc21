//! What shoppers were promised against what the services hold, decided purely.
//!
//! What no shopper ever learned the outcome of is kept apart: such an order may exist or not, but whichever it is,
//! money, stock and messages must fit it.

use std::collections::{BTreeMap, BTreeSet};

use results::record::{AuditRow, LedgerEntry, OrderOutcome};
use shop_contract::audit::AuditLine;
use shop_contract::bank::ChargeStatus;
use shop_contract::inventory::ReservationStatus;
use shop_contract::order::OrderStatus;
use shop_contract::payment::PaymentStatus;

/// How many contradictions are written out; the rest is counted.
const SHOWN: usize = 50;

#[derive(Debug)]
struct OrderHeld {
    key: String,
    user_id: String,
    status: OrderStatus,
    total_minor: i64,
    pieces: i64,
}

/// What the services hold, by what it is about.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    orders: BTreeMap<String, OrderHeld>,
    /// By order: payment id, status, amount.
    payments: BTreeMap<String, Vec<(String, PaymentStatus, i64)>>,
    /// By payment: status, amount.
    charges: BTreeMap<String, Vec<(ChargeStatus, i64)>>,
    /// By order: status, pieces.
    reservations: BTreeMap<String, (ReservationStatus, i64)>,
    stock: Stock,
    /// By kind and subject.
    notifications: BTreeMap<(String, String), u32>,
    outbox: i64,
    /// Messages that wait for a mail server.
    unsent: u64,
}

#[derive(Debug, Default)]
struct Stock {
    initial: i64,
    available: i64,
    reserved: i64,
    committed: i64,
    contradictions: i64,
}

impl Holdings {
    /// Sorts what the services told.
    pub(crate) fn of(lines: impl IntoIterator<Item = AuditLine>) -> Self {
        let mut h = Self::default();
        for line in lines {
            match line {
                AuditLine::Order {
                    id,
                    user_id,
                    key,
                    status,
                    total_minor,
                    pieces,
                } => {
                    let held = OrderHeld {
                        key,
                        user_id,
                        status,
                        total_minor,
                        pieces,
                    };
                    h.orders.insert(id, held);
                }
                AuditLine::Payment {
                    id,
                    order_id,
                    status,
                    amount_minor,
                } => {
                    let of_order = h.payments.entry(order_id).or_default();
                    of_order.push((id, status, amount_minor));
                }
                AuditLine::Charge {
                    reference,
                    status,
                    amount_minor,
                    ..
                } => {
                    let of_payment = h.charges.entry(reference).or_default();
                    of_payment.push((status, amount_minor));
                }
                AuditLine::Reservation { id, status, pieces } => {
                    h.reservations.insert(id, (status, pieces));
                }
                AuditLine::Stock {
                    initial,
                    available,
                    reserved,
                    committed,
                    contradictions,
                } => {
                    h.stock = Stock {
                        initial,
                        available,
                        reserved,
                        committed,
                        contradictions,
                    };
                }
                AuditLine::Notification {
                    subject,
                    kind,
                    channel,
                    status,
                    ..
                } => {
                    h.unsent += u64::from(status == "queued");
                    // Everyone gets an e-mail, and some a copy by other channels, which is no second message.
                    *h.notifications.entry((kind, subject)).or_default() +=
                        u32::from(channel == "email");
                }
                AuditLine::Outbox { pending } => h.outbox += pending,
            }
        }
        h
    }

    /// Whether nothing is on its way any more.
    pub(crate) fn is_settled(&self) -> bool {
        self.outbox == 0 && self.unsent == 0 && self.orders.values().all(|o| o.status.is_final())
    }
}

/// Every contradiction there is. `complete` is left to whoever knows whether all had settled.
pub(crate) fn check(ledger: &[LedgerEntry], held: &Holdings) -> AuditRow {
    let mut violations = Vec::new();
    let found = check_promises(ledger, held, &mut violations);
    for (id, order) in &held.orders {
        check_order(id, order, held, &mut violations);
    }
    check_strays(held, &mut violations);
    check_stock(held, &mut violations);
    if violations.len() > SHOWN {
        let more = violations.len() - SHOWN;
        violations.truncate(SHOWN);
        violations.push(format!("… and {more} more"));
    }
    AuditRow {
        orders_found: found,
        violations,
        ..not_made(ledger)
    }
}

/// What can be said without asking the services: how many were promised.
pub(crate) fn not_made(ledger: &[LedgerEntry]) -> AuditRow {
    let count = |outcome| ledger.iter().filter(|e| e.outcome == outcome).count() as u64;
    AuditRow {
        orders_promised: count(OrderOutcome::Promised),
        orders_unknown: count(OrderOutcome::Unknown),
        ..AuditRow::default()
    }
}

/// Each order as its shopper knows it. Gives how many of the promised ones are held as confirmed.
fn check_promises(ledger: &[LedgerEntry], held: &Holdings, violations: &mut Vec<String>) -> u64 {
    let by_key: BTreeMap<(&str, &str), &str> = held
        .orders
        .iter()
        .map(|(id, o)| ((o.user_id.as_str(), o.key.as_str()), id.as_str()))
        .collect();
    let mut found = 0;
    for entry in ledger {
        let named = by_key.get(&(entry.user_id.as_str(), entry.key.as_str()));
        let order = named.and_then(|id| held.orders.get(*id));
        let key = &entry.key;
        match (entry.outcome, order) {
            (OrderOutcome::Promised, Some(o)) if o.status == OrderStatus::Confirmed => {
                found += 1;
                if entry.order_id.as_deref() != named.copied() {
                    violations.push(format!(
                        "order under key {key}: its shopper was told another id"
                    ));
                }
                if entry.total_minor.is_some_and(|t| t != o.total_minor) {
                    violations.push(format!(
                        "order under key {key}: its shopper was told another total"
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
                        "order under key {key}: its shopper was told another total"
                    ));
                }
            }
            (OrderOutcome::Accepted, None) => {
                violations.push(format!(
                    "order under key {key} was accepted and does not exist"
                ));
            }
            (OrderOutcome::Refused, Some(o)) if o.status == OrderStatus::Confirmed => {
                violations.push(format!(
                    "order under key {key} was refused and is confirmed"
                ));
            }
            // An end of its own, or none: what exists is checked as an order below.
            (OrderOutcome::Refused | OrderOutcome::Unknown, _) => {}
        }
    }
    found
}

/// One order against money, stock and messages.
fn check_order(id: &str, order: &OrderHeld, held: &Holdings, violations: &mut Vec<String>) {
    let confirmed = order.status == OrderStatus::Confirmed;
    let mut wrong = |what: String| {
        violations.push(format!("order {id} ({}): {what}", order.status.name()));
    };
    if !order.status.is_final() {
        wrong("has not come to its end".to_owned());
        return;
    }
    let payments = held.payments.get(id).map_or(&[][..], Vec::as_slice);
    let captured: Vec<_> = payments
        .iter()
        .filter(|(_, status, _)| *status == PaymentStatus::Captured)
        .collect();
    let due = usize::from(confirmed);
    if captured.len() != due {
        wrong(format!(
            "{} payments are captured, {due} should be",
            captured.len()
        ));
    }
    if let Some((_, _, amount)) = captured.iter().find(|(.., a)| *a != order.total_minor) {
        wrong(format!("{amount} was taken for {}", order.total_minor));
    }
    for (payment, status, amount) in payments {
        if *status == PaymentStatus::Pending {
            wrong(format!("payment {payment} is still pending"));
        }
        let charges = held.charges.get(payment).map_or(&[][..], Vec::as_slice);
        let taken: i64 = charges
            .iter()
            .filter(|(status, _)| *status == ChargeStatus::Captured)
            .map(|(_, amount)| amount)
            .sum();
        let expected = if *status == PaymentStatus::Captured {
            *amount
        } else {
            0
        };
        if taken != expected {
            wrong(format!(
                "the bank took {taken} for payment {payment}, {expected} is due"
            ));
        }
        if charges.len() > 1 {
            wrong(format!(
                "the bank charged payment {payment} {} times",
                charges.len()
            ));
        }
    }
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
    for (kind, due) in [
        ("order.confirmed", u32::from(confirmed)),
        ("order.cancelled", u32::from(!confirmed)),
    ] {
        let key = (kind.to_owned(), id.to_owned());
        let sent = held.notifications.get(&key).copied().unwrap_or(0);
        if sent != due {
            wrong(format!(
                "{sent} messages of {kind} were sent, {due} should be"
            ));
        }
    }
}

/// What belongs to no order.
fn check_strays(held: &Holdings, violations: &mut Vec<String>) {
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

/// The stock as a whole against the orders as a whole.
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
            "stock: the figures of {contradictions} products do not add up"
        ));
    }
    let bought: i64 = held
        .orders
        .values()
        .filter(|o| o.status == OrderStatus::Confirmed)
        .map(|o| o.pieces)
        .sum();
    if bought != committed {
        violations.push(format!(
            "stock: {committed} pieces are gone, {bought} were bought"
        ));
    }
    for (status, figure) in [
        (ReservationStatus::Committed, committed),
        (ReservationStatus::Held, reserved),
    ] {
        let of_status = held.reservations.values().filter(|(s, _)| *s == status);
        let sum: i64 = of_status.map(|(_, pieces)| pieces).sum();
        if sum != figure {
            violations.push(format!(
                "stock: {figure} pieces are {}, the reservations say {sum}",
                status.name()
            ));
        }
    }
    if held.is_settled() && reserved != 0 {
        violations.push(format!("stock: {reserved} pieces are held for nobody"));
    }
}

#[cfg(test)]
#[path = "holdings/tests.rs"]
mod tests;
