//! Events between services.
//!
//! An event leaves its service through the outbox and arrives at `POST /events` of each subscriber, at least once and
//! in any order. Consumers deduplicate by [`Envelope::id`].

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::money::Money;
use crate::order::OrderItem;

/// The path to which events are pushed.
pub const PATH: &str = "/events";

/// An event and its envelope, after CloudEvents 1.0 (`id`, `source`, `type`, `subject`, `time`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Envelope {
    /// Unique; the same event delivered again has the same id.
    #[schema(
        pattern = "^[^\\x00]*$",
        example = "0197a1b2-0000-7000-8000-000000000005"
    )]
    pub id: String,
    /// The service it comes from.
    pub source: String,
    /// What it is about: an order's id; of a change of stock, the reservation that made it, `opening` or `restock`.
    pub subject: String,
    /// Milliseconds since 1970.
    pub time_ms: i64,
    /// W3C trace context of what caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", content = "data")]
pub enum Event {
    /// An order reached its good end.
    #[serde(rename = "order.confirmed")]
    OrderConfirmed(OrderConfirmed),
    /// An order was undone.
    #[serde(rename = "order.cancelled")]
    OrderCancelled(OrderCancelled),
    /// What can be had of some products is another than before.
    #[serde(rename = "stock.changed")]
    StockChanged(StockChanged),
}

impl Event {
    /// The name of its type.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::OrderConfirmed(_) => "order.confirmed",
            Self::OrderCancelled(_) => "order.cancelled",
            Self::StockChanged(_) => "stock.changed",
        }
    }

    /// Its destination, as spans and metrics name it: [`ORDERS`] or [`STOCK`].
    pub fn destination(&self) -> &'static str {
        match self {
            Self::OrderConfirmed(_) | Self::OrderCancelled(_) => ORDERS,
            Self::StockChanged(_) => STOCK,
        }
    }
}

/// The event types of a destination.
pub fn kinds(destination: &str) -> &'static [&'static str] {
    match destination {
        ORDERS => &["order.confirmed", "order.cancelled"],
        STOCK => &["stock.changed"],
        _ => &[],
    }
}

/// The destination of events about orders.
pub const ORDERS: &str = "shop.orders";
/// The destination of events about stock.
pub const STOCK: &str = "shop.stock";

/// An order reached its good end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderConfirmed {
    /// The order.
    pub order_id: String,
    /// Who bought.
    pub user_id: String,
    /// Where to tell them.
    pub email: String,
    /// What was bought.
    pub items: Vec<OrderItem>,
    /// For how much.
    pub total: Money,
    /// When the cart was taken, milliseconds since 1970: what was put into it later is not part of this order.
    pub placed_at_ms: i64,
}

/// An order was undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrderCancelled {
    /// The order.
    pub order_id: String,
    /// Who wanted it.
    pub user_id: String,
    /// Where to tell them; empty in what was written before this was known.
    #[serde(default)]
    pub email: String,
    /// Why not: `card-declined`, `out-of-stock`.
    pub reason: String,
}

/// What can be had of some products is another than before: each was just stocked, or has come into another
/// [`Band`](crate::inventory::Band). Changes within a band are not told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StockChanged {
    /// Each of the products.
    pub levels: Vec<StockLevel>,
}

/// What can be had of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StockLevel {
    /// The product.
    pub product_id: String,
    /// Pieces that can be reserved.
    pub available: i64,
    /// Grows with each change of this product. Events may arrive in any order; what has a lower version is old.
    pub version: i64,
}
