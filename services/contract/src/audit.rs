//! The admin listener's `/audit`: what a service holds, one JSON object a line.

use serde::{Deserialize, Serialize};

use crate::bank::ChargeStatus;
use crate::inventory::ReservationStatus;
use crate::order::OrderStatus;
use crate::payment::PaymentStatus;

/// One thing that a service holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "holds", rename_all = "lowercase")]
pub enum AuditLine {
    /// The order service: an order.
    Order {
        /// Order id.
        id: String,
        /// Who placed it.
        user_id: String,
        /// The shopper's idempotency key.
        key: String,
        /// Where it stands.
        status: OrderStatus,
        /// What it costs, minor units.
        total_minor: i64,
        /// How many pieces, over all lines.
        pieces: i64,
    },
    /// The payment service: a payment.
    Payment {
        /// Payment id; the bank's reference.
        id: String,
        /// What it is for.
        order_id: String,
        /// Where it stands.
        status: PaymentStatus,
        /// How much, minor units.
        amount_minor: i64,
    },
    /// The bank: a charge.
    Charge {
        /// Charge id.
        id: String,
        /// The payment's id.
        reference: String,
        /// Where it stands.
        status: ChargeStatus,
        /// How much, minor units.
        amount_minor: i64,
    },
    /// The inventory service: a reservation.
    Reservation {
        /// The order's id.
        id: String,
        /// Where it stands.
        status: ReservationStatus,
        /// How many pieces, over all lines.
        pieces: i64,
    },
    /// The inventory service: the stock of all products together.
    Stock {
        /// Pieces that the shop opened with, and what restocking added or took.
        initial: i64,
        /// Pieces that can be reserved.
        available: i64,
        /// Pieces that are held.
        reserved: i64,
        /// Pieces that have left.
        committed: i64,
        /// Products whose own figures do not add up, or do not fit their reservations; there must be none.
        contradictions: i64,
    },
    /// The notification service: a message.
    Notification {
        /// Message id.
        id: String,
        /// What it is about: an order's id, where it is about one.
        subject: String,
        /// `order.confirmed`, `order.cancelled`, `direct`.
        kind: String,
        /// `email`, `sms` or `push`.
        channel: String,
        /// `kept`, `queued`, `sent` or `failed`.
        status: String,
    },
    /// Any service with an outbox: events that have not been delivered everywhere.
    Outbox {
        /// How many.
        pending: i64,
    },
}

impl AuditLine {
    /// What the line is about, where it is about one thing: rows are told in the order of their ids.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Order { id, .. }
            | Self::Payment { id, .. }
            | Self::Charge { id, .. }
            | Self::Reservation { id, .. }
            | Self::Notification { id, .. } => Some(id),
            Self::Stock { .. } | Self::Outbox { .. } => None,
        }
    }
}

/// The admin listener's `/audit/moving`: what has not come to its end yet. An audit made while something has not may
/// find contradictions that are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Moving {
    /// Orders that are neither confirmed nor cancelled.
    pub orders: i64,
    /// Deliveries of events that are still to be made.
    pub events: i64,
    /// Mail that is still to be sent.
    pub mail: i64,
}

impl Moving {
    /// Whether nothing is on its way.
    pub fn is_still(&self) -> bool {
        *self == Self::default()
    }

    /// Together with what is on its way elsewhere.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            orders: self.orders + other.orders,
            events: self.events + other.events,
            mail: self.mail + other.mail,
        }
    }
}
