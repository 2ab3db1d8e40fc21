//! Events as they come over the wire.

use serde_json::{Value, json};

/// An order whose confirmation is an event.
#[derive(Debug, Clone, Copy)]
pub struct ConfirmedOrder<'a> {
    /// The event.
    pub event_id: &'a str,
    /// The order.
    pub order_id: &'a str,
    /// The buyer.
    pub user_id: &'a str,
    /// When it was placed and confirmed, milliseconds since 1970.
    pub at_ms: i64,
    /// What each piece costs, minor units of EUR.
    pub unit_price_minor: i64,
    /// Products and quantities.
    pub bought: &'a [(&'a str, u32)],
}

impl Default for ConfirmedOrder<'_> {
    fn default() -> Self {
        Self {
            event_id: "e-1",
            order_id: "o-1",
            user_id: "u-1",
            at_ms: 1,
            unit_price_minor: 1999,
            bought: &[],
        }
    }
}

impl ConfirmedOrder<'_> {
    /// The event, as the order service pushes it.
    pub fn event(&self) -> Value {
        let money = |minor: i64| json!({"minor": minor, "currency": "EUR"});
        let item = |(id, quantity): &(&str, u32)| {
            json!({
                "product_id": id, "title": "Kettle", "quantity": quantity,
                "unit_price": money(self.unit_price_minor),
            })
        };
        let pieces: u32 = self.bought.iter().map(|(_, quantity)| quantity).sum();
        json!({
            "id": self.event_id, "source": "order", "subject": self.order_id,
            "time_ms": self.at_ms, "type": "order.confirmed",
            "data": {
                "order_id": self.order_id, "user_id": self.user_id,
                "email": format!("{}@shop.example", self.user_id),
                "items": self.bought.iter().map(item).collect::<Vec<_>>(),
                "total": money(self.unit_price_minor * i64::from(pieces)),
                "placed_at_ms": self.at_ms,
            },
        })
    }
}
