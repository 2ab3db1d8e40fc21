//! The admin listener's `/audit`: the rows and sums of a service, one JSON object a line.

use serde::{Deserialize, Serialize};

use crate::bank::ChargeStatus;
use crate::inventory::ReservationStatus;
use crate::order::OrderStatus;
use crate::payment::PaymentStatus;

/// A row or a sum.
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
        /// Its status.
        status: OrderStatus,
        /// What it costs, minor units.
        total_minor: i64,
        /// The number of pieces, over all lines.
        pieces: i64,
    },
    /// The payment service: a payment.
    Payment {
        /// Payment id; the bank's reference.
        id: String,
        /// The order it is for.
        order_id: String,
        /// Its status.
        status: PaymentStatus,
        /// The amount, minor units.
        amount_minor: i64,
    },
    /// The bank: a charge.
    Charge {
        /// Charge id.
        id: String,
        /// The payment's id.
        reference: String,
        /// Its status.
        status: ChargeStatus,
        /// The amount, minor units.
        amount_minor: i64,
    },
    /// The inventory service: a reservation.
    Reservation {
        /// The order's id.
        id: String,
        /// Its status.
        status: ReservationStatus,
        /// The number of pieces, over all lines.
        pieces: i64,
    },
    /// The inventory service: the stock of all products together.
    Stock {
        /// Pieces at the opening, plus or minus restocking.
        initial: i64,
        /// Pieces that can be reserved.
        available: i64,
        /// Pieces that are held.
        reserved: i64,
        /// Pieces that have left.
        committed: i64,
        /// Products whose sums do not add up, or do not match their reservations; there must be none.
        contradictions: i64,
    },
    /// The notification service: a message.
    Notification {
        /// Message id.
        id: String,
        /// Its subject matter: the order's id, where there is one.
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
        /// Their number.
        pending: i64,
    },
}

impl AuditLine {
    /// The id of a row; rows are in the order of their ids. `None`: a sum.
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

/// The admin listener's `/audit/moving`: unfinished work. An audit while there is some may find contradictions that are
/// none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Moving {
    /// Orders that are neither confirmed nor cancelled.
    pub orders: i64,
    /// Deliveries of events that are pending.
    pub events: i64,
    /// Mail that is queued.
    pub mail: i64,
}

impl Moving {
    /// Whether there is no unfinished work.
    pub fn is_still(&self) -> bool {
        *self == Self::default()
    }

    /// The sum with another service's unfinished work.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            orders: self.orders + other.orders,
            events: self.events + other.events,
            mail: self.mail + other.mail,
        }
    }
}
