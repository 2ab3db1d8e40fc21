//! An order as the sum of what happened to it, pure.

use serde::{Deserialize, Serialize};
use shop_contract::Money;
use shop_contract::cart::Cart;
use shop_contract::order::{Order, OrderItem, OrderStatus};

/// Something that happened to an order. Stored as it stands here: change it only by adding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum OrderEvent {
    /// It was written down.
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
    /// It will not be; what was taken is being given back.
    Cancelling {
        /// `card-declined`, `out-of-stock`, …
        reason: String,
    },
    /// The money went back.
    Refunded,
    /// All is undone.
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

/// What an order is made of from the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// The order.
    pub order_id: String,
    /// Who buys.
    pub user_id: String,
    /// Where to tell them.
    pub email: String,
    /// The shopper's idempotency key.
    pub key: String,
    /// The bank's token for the card.
    pub card: String,
    /// What is bought, at the prices the shopper was shown.
    pub items: Vec<OrderItem>,
    /// For how much.
    pub total: Money,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// The trace in which it was placed: whatever is done for the order later belongs to it.
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

/// Where an order stands, with all that its next step needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderState {
    /// What it is made of.
    pub placed: Placed,
    /// Where it stands.
    pub status: OrderStatus,
    /// Why it is not to be, where it is not.
    pub reason: Option<String>,
    /// The payment, once there is one.
    pub payment_id: Option<String>,
    /// Whether the money went back.
    pub refunded: bool,
    /// How many events there were.
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

    /// The sum of a history. `None` for one that does not begin with [`OrderEvent::Placed`].
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

    /// Whether money was taken that has not gone back yet.
    pub fn refund_is_due(&self) -> bool {
        self.status == OrderStatus::Cancelling && self.payment_id.is_some() && !self.refunded
    }

    /// How many pieces, over all lines.
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
