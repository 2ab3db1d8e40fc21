//! How the catalogue handles events, over HTTP or NATS.

use shop_contract::events::{Envelope, Event, ORDERS, STOCK};
use shop_kit::events::{EventOutcome, Subscriber};
use shop_kit::store::StoreError;

use crate::showcase::Showcase;

impl Subscriber for Showcase {
    const DESTINATIONS: &'static [&'static str] = &[ORDERS, STOCK];

    async fn handle(&self, envelope: &Envelope) -> Result<EventOutcome, StoreError> {
        match &envelope.event {
            Event::OrderConfirmed(order) => Ok(self.sold(&envelope.id, &order.items).await?.into()),
            Event::StockChanged(stock) => {
                let new = self.stocked(&envelope.id, envelope.time_ms, stock).await?;
                Ok(new.into())
            }
            // A cancelled order has no sales.
            Event::OrderCancelled(_) => Ok(EventOutcome::Ignored),
        }
    }
}
