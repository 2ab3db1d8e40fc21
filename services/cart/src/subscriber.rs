//! How carts handle events, over HTTP or NATS.

use shop_contract::events::{Envelope, Event, ORDERS};
use shop_kit::events::{EventOutcome, Subscriber};
use shop_kit::store::StoreError;

use crate::store::Carts;

impl Subscriber for Carts {
    const DESTINATIONS: &'static [&'static str] = &[ORDERS];

    async fn handle(&self, envelope: &Envelope) -> Result<EventOutcome, StoreError> {
        match &envelope.event {
            Event::OrderConfirmed(order) => Ok(self.bought(&envelope.id, order).await?.into()),
            // The shopper still wants what was not bought.
            Event::OrderCancelled(_) | Event::StockChanged(_) => Ok(EventOutcome::Ignored),
        }
    }
}
