//! What customers are told, pure.

use shop_contract::events::{Event, OrderCancelled, OrderConfirmed};
use shop_contract::notification::NewNotification;

/// A message to be kept and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Why it is sent: an event's type, or `direct`.
    pub kind: &'static str,
    /// What it is about: an order's id, or the key of a direct message.
    pub about: String,
    /// To whom.
    pub user_id: String,
    /// Where to; empty when only the account is known.
    pub email: String,
    /// First line.
    pub subject: String,
    /// The rest.
    pub body: String,
}

impl Message {
    /// The message that an event asks for, where it asks for one.
    pub fn about_event(event: &Event) -> Option<Self> {
        let kind = event.kind();
        let message = match event {
            Event::OrderConfirmed(order) => Self {
                kind,
                about: order.order_id.clone(),
                user_id: order.user_id.clone(),
                email: order.email.clone(),
                subject: format!("Your order over {} is confirmed", order.total),
                body: confirmed(order),
            },
            Event::OrderCancelled(order) => Self {
                kind,
                about: order.order_id.clone(),
                user_id: order.user_id.clone(),
                email: String::new(),
                subject: "Your order could not be placed".to_owned(),
                body: cancelled(order),
            },
            Event::StockChanged(_) => return None,
        };
        Some(message)
    }

    /// A message that a service asked for in so many words.
    pub fn direct(new: NewNotification) -> Self {
        Self {
            kind: "direct",
            about: new.key,
            user_id: new.user_id,
            email: new.email,
            subject: new.subject,
            body: new.body,
        }
    }

    /// Two messages with the same key are the same message.
    pub fn key(&self) -> String {
        format!("{}:{}", self.kind, self.about)
    }
}

fn confirmed(order: &OrderConfirmed) -> String {
    let mut body = String::from("Thank you. These things are on their way:\n\n");
    for item in &order.items {
        body += &format!(
            "{:>3} x {}, {} each\n",
            item.quantity, item.title, item.unit_price
        );
    }
    body + &format!("\nTotal: {}\nOrder: {}\n", order.total, order.order_id)
}

fn cancelled(order: &OrderCancelled) -> String {
    let why = match order.reason.as_str() {
        "card-declined" => "your bank declined the card",
        "out-of-stock" => "something in your cart was sold out",
        _ => "something went wrong on our side",
    };
    format!(
        "We are sorry: {why}. You pay nothing; what was charged has been given back.\n\nOrder: {}\n",
        order.order_id
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use shop_contract::Money;
    use shop_contract::order::OrderItem;

    #[test]
    fn a_confirmation_lists_what_was_bought_and_for_how_much() {
        let event = Event::OrderConfirmed(OrderConfirmed {
            order_id: "o-1".to_owned(),
            user_id: "u-1".to_owned(),
            email: "a@shop.example".to_owned(),
            items: vec![OrderItem {
                product_id: "p-00001".to_owned(),
                title: "Steel Kettle".to_owned(),
                quantity: 2,
                unit_price: Money::of(1999),
            }],
            total: Money::of(3998),
            placed_at_ms: 1,
        });
        let message = Message::about_event(&event).unwrap();
        assert_eq!(message.key(), "order.confirmed:o-1");
        assert_eq!(message.subject, "Your order over 39.98 EUR is confirmed");
        assert!(message.body.contains("2 x Steel Kettle, 19.99 EUR each"));
    }

    #[test]
    fn a_cancellation_says_why_and_that_nothing_is_paid() {
        let event = Event::OrderCancelled(OrderCancelled {
            order_id: "o-1".to_owned(),
            user_id: "u-1".to_owned(),
            reason: "out-of-stock".to_owned(),
        });
        let body = Message::about_event(&event).unwrap().body;
        assert!(body.contains("sold out") && body.contains("You pay nothing"));
    }
}
