//! Orders.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::money::Money;

/// `POST /orders`, header `Idempotency-Key` (1 to 128 visible characters): buys what is in the caller's cart.
///
/// | status | body | meaning |
/// |---|---|---|
/// | 201 | [`Order`], confirmed | promised: stock is taken, the card is charged |
/// | 202 | [`Order`], not at its end | accepted; ask again under `GET /orders/{id}` or with the same key |
/// | 402 | problem `card-declined` | nothing was charged, the stock goes back |
/// | 409 | problem `out-of-stock` | nothing was charged |
/// | 422 | problem `empty-cart`, or `key-reused` for a key that stood for something else | nothing was done |
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Checkout {
    /// The bank's token for the shopper's card.
    #[schema(pattern = "^tok_[A-Za-z0-9_]{1,60}$", example = "tok_good")]
    pub card: String,
}

/// An order as its buyer sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Order {
    /// The order.
    #[schema(min_length = 1, example = "0197a1b2-0000-7000-8000-000000000001")]
    pub id: String,
    /// Where it stands.
    pub status: OrderStatus,
    /// What was bought.
    pub items: Vec<OrderItem>,
    /// What it costs.
    pub total: Money,
    /// Why it was cancelled, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "card-declined")]
    pub reason: Option<String>,
    /// The payment, once the bank has taken it; see `GET /payments/{id}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "0197a1b2-0000-7000-8000-000000000002")]
    pub payment_id: Option<String>,
    /// Milliseconds since 1970.
    #[schema(example = 1790000000000_i64)]
    pub placed_at_ms: i64,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderItem {
    /// The product.
    #[schema(example = "p-00001")]
    pub product_id: String,
    /// Its title when it was bought.
    #[schema(example = "Steel Kettle")]
    pub title: String,
    /// How many.
    #[schema(minimum = 1, example = 2)]
    pub quantity: u32,
    /// What one cost.
    pub unit_price: Money,
}

/// `GET /orders?limit=`: newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderList {
    /// The orders.
    #[schema(max_items = 100)]
    pub items: Vec<Order>,
}

/// Where an order stands, in the order in which it moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum OrderStatus {
    /// Written down; nothing else has happened.
    Placed,
    /// The stock is held.
    Reserved,
    /// The card is charged.
    Paid,
    /// Done: the stock has left. A promise.
    Confirmed,
    /// Being undone.
    Cancelling,
    /// Undone.
    Cancelled,
}

impl OrderStatus {
    /// As stored and sent.
    pub fn name(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::Reserved => "reserved",
            Self::Paid => "paid",
            Self::Confirmed => "confirmed",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more will happen to the order.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Confirmed | Self::Cancelled)
    }
}
