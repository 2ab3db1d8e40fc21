//! An order as the sum of its events, pure.

use serde::{Deserialize, Serialize};
use shop_contract::Money;
use shop_contract::cart::Cart;
use shop_contract::order::{Order, OrderItem, OrderStatus};

/// An event of an order. Its JSON form is stored: only add to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum OrderEvent {
    /// It was placed.
    Placed(Placed),
    /// Its stock is held.
    Reserved,
    /// Its card was charged.
    Paid {
        /// The payment.
        payment_id: String,
    },
    /// Its stock has left.
    Confirmed,
    /// It is being cancelled; what was taken is being given back.
    Cancelling {
        /// `card-declined`, `out-of-stock`, …
        reason: String,
    },
    /// The money was given back.
    Refunded,
    /// Everything is undone.
    Cancelled,
}

impl OrderEvent {
    /// Its name, as stored.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Placed(_) => "placed",
            Self::Reserved => "reserved",
            Self::Paid { .. } => "paid",
            Self::Confirmed => "confirmed",
            Self::Cancelling { .. } => "cancelling",
            Self::Refunded => "refunded",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The facts that an order has from the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// The order.
    pub order_id: String,
    /// The buyer.
    pub user_id: String,
    /// The buyer's e-mail address.
    pub email: String,
    /// The shopper's idempotency key.
    pub key: String,
    /// The bank's token for the card.
    pub card: String,
    /// The lines, at the prices that the shopper was shown.
    pub items: Vec<OrderItem>,
    /// What it costs.
    pub total: Money,
    /// When it was placed, milliseconds since 1970.
    pub at_ms: i64,
    /// The trace in which it was placed. Later work for the order belongs to that trace.
    pub traceparent: Option<String>,
}

impl Placed {
    /// The lines and the total of a cart.
    pub fn lines(cart: &Cart) -> (Vec<OrderItem>, Money) {
        let lines = cart.items.iter().map(|i| OrderItem {
            product_id: i.product_id.clone(),
            title: i.title.clone(),
            quantity: i.quantity,
            unit_price: i.unit_price.clone(),
        });
        let items: Vec<OrderItem> = lines.collect();
        let total = items
            .iter()
            .map(|i| i.unit_price.minor * i64::from(i.quantity))
            .sum();
        (items, Money::of(total))
    }
}

/// The state of an order, with everything that its next step needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderState {
    /// The facts from the start.
    pub placed: Placed,
    /// Its status.
    pub status: OrderStatus,
    /// Why it is cancelled, if it is.
    pub reason: Option<String>,
    /// The payment, once there is one.
    pub payment_id: Option<String>,
    /// Whether the money was given back.
    pub refunded: bool,
    /// The number of its events.
    pub version: i64,
}

impl OrderState {
    /// A new order.
    pub fn new(placed: Placed) -> Self {
        Self {
            placed,
            status: OrderStatus::Placed,
            reason: None,
            payment_id: None,
            refunded: false,
            version: 1,
        }
    }

    /// The sum of a history. `None`: it does not begin with [`OrderEvent::Placed`].
    pub fn of(history: impl IntoIterator<Item = OrderEvent>) -> Option<Self> {
        let mut history = history.into_iter();
        let Some(OrderEvent::Placed(placed)) = history.next() else {
            return None;
        };
        let mut state = Self::new(placed);
        for event in history {
            state.apply(&event);
        }
        Some(state)
    }

    /// Adds one event.
    pub fn apply(&mut self, event: &OrderEvent) {
        self.version += 1;
        match event {
            OrderEvent::Placed(_) => {}
            OrderEvent::Reserved => self.status = OrderStatus::Reserved,
            OrderEvent::Paid { payment_id } => {
                self.status = OrderStatus::Paid;
                self.payment_id = Some(payment_id.clone());
            }
            OrderEvent::Confirmed => self.status = OrderStatus::Confirmed,
            OrderEvent::Cancelling { reason } => {
                self.status = OrderStatus::Cancelling;
                self.reason = Some(reason.clone());
            }
            OrderEvent::Refunded => self.refunded = true,
            OrderEvent::Cancelled => self.status = OrderStatus::Cancelled,
        }
    }

    /// The order's id.
    pub fn id(&self) -> &str {
        &self.placed.order_id
    }

    /// Whether money was taken that is still to be given back.
    pub fn refund_is_due(&self) -> bool {
        self.status == OrderStatus::Cancelling && self.payment_id.is_some() && !self.refunded
    }

    /// The number of pieces, over all lines.
    pub fn pieces(&self) -> i64 {
        let pieces = self.placed.items.iter().map(|i| i64::from(i.quantity));
        pieces.sum()
    }

    /// As its buyer sees it.
    pub fn shown(&self) -> Order {
        Order {
            id: self.placed.order_id.clone(),
            status: self.status,
            items: self.placed.items.clone(),
            total: self.placed.total.clone(),
            reason: self.reason.clone(),
            payment_id: self.payment_id.clone(),
            placed_at_ms: self.placed.at_ms,
        }
    }
}
