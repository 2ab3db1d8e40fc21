//! What the services hold, indexed for the rules.

use std::collections::BTreeMap;

use shop_contract::audit::AuditLine;
use shop_contract::bank::ChargeStatus;
use shop_contract::inventory::ReservationStatus;
use shop_contract::order::OrderStatus;
use shop_contract::payment::PaymentStatus;

/// An order of the order service.
#[derive(Debug)]
pub(crate) struct OrderHeld {
    pub(crate) key: String,
    pub(crate) user_id: String,
    pub(crate) status: OrderStatus,
    pub(crate) total_minor: i64,
    pub(crate) pieces: i64,
}

impl OrderHeld {
    pub(crate) fn is_confirmed(&self) -> bool {
        self.status == OrderStatus::Confirmed
    }

    /// The kind of the message that tells the customer how the order ended.
    pub(crate) fn closing_message(&self) -> &'static str {
        if self.is_confirmed() {
            "order.confirmed"
        } else {
            "order.cancelled"
        }
    }
}

/// What the services hold, indexed by subject.
#[derive(Debug, Default)]
pub struct Holdings {
    pub(crate) orders: BTreeMap<String, OrderHeld>,
    /// By order: payment id, status, amount.
    pub(crate) payments: BTreeMap<String, Vec<(String, PaymentStatus, i64)>>,
    /// By payment: status, amount.
    pub(crate) charges: BTreeMap<String, Vec<(ChargeStatus, i64)>>,
    /// By order: status, pieces.
    pub(crate) reservations: BTreeMap<String, (ReservationStatus, i64)>,
    pub(crate) stock: Stock,
    /// By kind and subject.
    pub(crate) notifications: BTreeMap<(String, String), u32>,
    pub(crate) outbox: i64,
    /// Messages still queued for the mail server.
    pub(crate) unsent: u64,
}

/// The totals of the stock, in units.
#[derive(Debug, Default)]
pub(crate) struct Stock {
    pub(crate) initial: i64,
    pub(crate) available: i64,
    pub(crate) reserved: i64,
    pub(crate) committed: i64,
    pub(crate) contradictions: i64,
}

impl Holdings {
    /// Indexes the lines of the services' audit pages.
    pub fn of(lines: impl IntoIterator<Item = AuditLine>) -> Self {
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
                    // Every message goes out by e-mail. A copy by another channel is no second message.
                    *h.notifications.entry((kind, subject)).or_default() +=
                        u32::from(channel == "email");
                }
                AuditLine::Outbox { pending } => h.outbox += pending,
            }
        }
        h
    }

    /// Whether no order, event or mail is still in progress.
    pub fn is_settled(&self) -> bool {
        self.outbox == 0 && self.unsent == 0 && self.orders.values().all(|o| o.status.is_final())
    }

    /// Whether an order has ended and its customer has no message yet. The event that causes the message may be in a
    /// message server, where no service counts it.
    pub fn awaits_messages(&self) -> bool {
        let ended = self.orders.iter().filter(|(_, o)| o.status.is_final());
        ended.into_iter().any(|(id, order)| {
            let kind = order.closing_message();
            self.messages(kind, id) == 0
        })
    }

    /// How many messages of a kind are about an order.
    pub(crate) fn messages(&self, kind: &str, order: &str) -> u32 {
        let key = (kind.to_owned(), order.to_owned());
        self.notifications.get(&key).copied().unwrap_or(0)
    }
}
