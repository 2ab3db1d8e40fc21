//! The messages to customers, pure.

use minijinja::{Value, context};
use shop_contract::events::Event;
use shop_contract::notification::NewNotification;

use crate::channel::Channel;
use crate::template::Templates;

/// A message on one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its cause: an event's type, or `direct`.
    pub kind: &'static str,
    /// Its subject matter: an order's id, or the key of a direct message.
    pub about: String,
    /// The customer.
    pub user_id: String,
    /// The channel.
    pub channel: Channel,
    /// The address on the channel; empty if it is not known.
    pub recipient: String,
    /// The first line.
    pub subject: String,
    /// The rest.
    pub body: String,
}

impl Message {
    /// The messages for an event, one for each of the customer's channels; none for events that do not concern
    /// customers.
    ///
    /// # Errors
    /// A template does not fit.
    pub fn about_event(
        templates: &Templates,
        event: &Event,
    ) -> Result<Vec<Self>, minijinja::Error> {
        let (about, user_id, email, values) = match event {
            Event::OrderConfirmed(order) => {
                let items: Vec<Value> = order
                    .items
                    .iter()
                    .map(|item| {
                        context! {
                            quantity => item.quantity,
                            title => item.title.clone(),
                            unit_price => item.unit_price.to_string(),
                        }
                    })
                    .collect();
                let pieces: u64 = order.items.iter().map(|i| u64::from(i.quantity)).sum();
                let values = context! {
                    order_id => order.order_id.clone(),
                    total => order.total.to_string(),
                    items => items,
                    pieces => pieces,
                };
                (&order.order_id, &order.user_id, &order.email, values)
            }
            Event::OrderCancelled(order) => {
                let values = context! {
                    order_id => order.order_id.clone(),
                    why => why(&order.reason),
                };
                (&order.order_id, &order.user_id, &order.email, values)
            }
            Event::StockChanged(_) => return Ok(Vec::new()),
        };
        let on = |channel: Channel| {
            let text = templates.text(event.kind(), channel, values.clone())?;
            Ok(Self {
                kind: event.kind(),
                about: about.clone(),
                user_id: user_id.clone(),
                channel,
                recipient: channel.recipient(user_id, email),
                subject: text.subject,
                body: text.body,
            })
        };
        Channel::of(user_id).into_iter().map(on).collect()
    }

    /// An e-mail with the text of another service.
    pub fn direct(new: NewNotification) -> Self {
        Self {
            kind: "direct",
            about: new.key,
            user_id: new.user_id,
            channel: Channel::Email,
            recipient: new.email,
            subject: new.subject,
            body: new.body,
        }
    }

    /// Two messages with the same key are the same message.
    pub fn key(&self) -> String {
        format!("{}:{}", self.kind, self.about)
    }
}

/// Why an order was cancelled, for the customer.
fn why(reason: &str) -> &'static str {
    match reason {
        "card-declined" => "your bank declined the card",
        "out-of-stock" => "something in your cart was sold out",
        _ => "something went wrong on our side",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shop_contract::Money;
    use shop_contract::events::{OrderCancelled, OrderConfirmed};
    use shop_contract::order::OrderItem;

    fn item(title: &str, quantity: u32, minor: i64) -> OrderItem {
        OrderItem {
            product_id: "p-00001".to_owned(),
            title: title.to_owned(),
            quantity,
            unit_price: Money::of(minor),
        }
    }

    fn confirmed(user_id: &str) -> Event {
        Event::OrderConfirmed(OrderConfirmed {
            order_id: "o-1".to_owned(),
            user_id: user_id.to_owned(),
            email: "a@shop.example".to_owned(),
            items: vec![item("Steel <Kettle> & Lid", 2, 1999), item("Lamp", 1, 500)],
            total: Money::of(4498),
            placed_at_ms: 1,
        })
    }

    fn cancelled(user_id: &str, reason: &str) -> Event {
        Event::OrderCancelled(OrderCancelled {
            order_id: "o-1".to_owned(),
            user_id: user_id.to_owned(),
            email: "a@shop.example".to_owned(),
            reason: reason.to_owned(),
        })
    }

    /// A customer with this channel.
    fn somebody(channel: Channel) -> String {
        let mut everyone = (0..).map(|n| format!("u-{n}"));
        everyone
            .find(|id| Channel::of(id).contains(&channel))
            .unwrap()
    }

    /// The text on a channel, as `subject` and `body`.
    fn on(channel: Channel, event: impl Fn(&str) -> Event) -> (String, String) {
        let templates = Templates::read().unwrap();
        let messages = Message::about_event(&templates, &event(&somebody(channel))).unwrap();
        let message = messages.into_iter().find(|m| m.channel == channel).unwrap();
        (message.subject, message.body)
    }

    #[test]
    fn a_confirmation_lists_what_was_bought_and_for_how_much() {
        let (subject, body) = on(Channel::Email, confirmed);
        assert_eq!(subject, "Your order over 44.98 EUR is confirmed");
        assert_eq!(
            body,
            "Thank you. These things are on their way:\n\n\
             2 x Steel <Kettle> & Lid, 19.99 EUR each\n\
             1 x Lamp, 5.00 EUR each\n\n\
             Total: 44.98 EUR\nOrder: o-1"
        );
    }

    #[test]
    fn text_messages_and_pushes_are_short() {
        let (_, sms) = on(Channel::Sms, confirmed);
        assert_eq!(sms, "Your order o-1 over 44.98 EUR is confirmed.");
        let (subject, push) = on(Channel::Push, confirmed);
        assert_eq!(subject, "Order confirmed");
        assert_eq!(push, "3 things are on the way, 44.98 EUR in all.");
        let (_, push) = on(Channel::Push, |u| cancelled(u, "out-of-stock"));
        assert_eq!(
            push,
            "Something in your cart was sold out. You pay nothing."
        );
    }

    #[test]
    fn a_cancellation_says_why_and_that_nothing_is_paid() {
        for (reason, text) in [
            ("out-of-stock", "something in your cart was sold out"),
            ("card-declined", "your bank declined the card"),
            ("anything else", "something went wrong on our side"),
        ] {
            let (subject, body) = on(Channel::Email, |u| cancelled(u, reason));
            assert_eq!(subject, "Your order could not be placed");
            assert_eq!(
                body,
                format!(
                    "We are sorry: {text}. You pay nothing; what was charged has been given back.\n\nOrder: o-1"
                )
            );
            let (_, sms) = on(Channel::Sms, |u| cancelled(u, reason));
            assert_eq!(
                sms,
                format!("Your order o-1 could not be placed: {text}. You pay nothing.")
            );
        }
    }

    #[test]
    fn an_event_is_one_message_per_channel_and_all_have_its_key() {
        let templates = Templates::read().unwrap();
        let user = somebody(Channel::Push);
        let messages = Message::about_event(&templates, &confirmed(&user)).unwrap();
        assert_eq!(messages.len(), 2);
        assert!(messages.iter().all(|m| m.key() == "order.confirmed:o-1"));
        assert_eq!(messages[0].recipient, "a@shop.example");
    }
}
