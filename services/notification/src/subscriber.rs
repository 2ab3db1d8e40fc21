//! How this service handles events, over HTTP or NATS.

use std::sync::Arc;

use shop_contract::events::{Envelope, ORDERS};
use shop_kit::events::{EventOutcome, Subscriber};
use shop_kit::store::StoreError;

use crate::message::Message;
use crate::store::Notifications;
use crate::template::Templates;

/// Writes messages about events. Cloning shares.
#[derive(Clone)]
pub struct Writer {
    notifications: Notifications,
    templates: Arc<Templates>,
}

impl Writer {
    /// A writer that stores its messages there.
    pub fn new(notifications: Notifications, templates: Templates) -> Self {
        Self {
            notifications,
            templates: Arc::new(templates),
        }
    }

    /// Where the messages are stored.
    pub fn notifications(&self) -> &Notifications {
        &self.notifications
    }
}

impl Subscriber for Writer {
    const DESTINATIONS: &'static [&'static str] = &[ORDERS];

    async fn handle(&self, envelope: &Envelope) -> Result<EventOutcome, StoreError> {
        let messages = Message::about_event(&self.templates, &envelope.event)
            .map_err(|e| StoreError::Corrupt(format!("a template does not fit: {e}")))?;
        if messages.is_empty() {
            return Ok(EventOutcome::Ignored);
        }
        let new = self.notifications.take(&envelope.id, &messages).await?;
        Ok(new.into())
    }
}
