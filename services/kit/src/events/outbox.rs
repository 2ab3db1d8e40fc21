//! The outbox: the events that are still to be delivered, one row per subscriber.

use shop_contract::Role;
use shop_contract::events::{Envelope, Event};
use sqlx::{AnyConnection, Row};

use crate::store::{Store, StoreError};
use crate::telemetry::propagation;
use crate::telemetry::trace_context::current_context;

/// The longest wait between two deliveries of the same event.
const MAX_WAIT_MS: i64 = 10_000;

/// An event in its envelope, with the current trace context. `time_ms` is the source's time of day.
pub fn envelope(source: Role, subject: &str, time_ms: i64, event: Event) -> Envelope {
    Envelope {
        id: uuid::Uuid::now_v7().to_string(),
        source: source.name().to_owned(),
        subject: subject.to_owned(),
        time_ms,
        traceparent: propagation::traceparent(&current_context()),
        event,
    }
}

/// Writes an event to the outbox, within the transaction of the change that it describes.
///
/// # Errors
/// Errors of the database.
pub async fn write(
    transaction: &mut AnyConnection,
    envelope: &Envelope,
    subscribers: &[Role],
) -> Result<(), StoreError> {
    let payload =
        serde_json::to_string(envelope).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    for subscriber in subscribers {
        sqlx::query(
            "INSERT INTO outbox (id, subscriber, payload, lease_until, attempts, created_at_ms)
             VALUES ($1, $2, $3, 0, 0, $4)",
        )
        .bind(&envelope.id)
        .bind(subscriber.name())
        .bind(&payload)
        .bind(envelope.time_ms)
        .execute(&mut *transaction)
        .await?;
    }
    Ok(())
}

/// The number of deliveries still to be made.
///
/// # Errors
/// Errors of the database.
pub async fn pending(store: &Store) -> Result<i64, StoreError> {
    let row = sqlx::query("SELECT COUNT(*) AS n FROM outbox")
        .fetch_one(store.reader())
        .await?;
    Ok(row.try_get("n")?)
}

/// The wait before the next delivery of an event: 100 ms, doubled with each earlier attempt, at most [`MAX_WAIT_MS`].
pub(super) fn wait_ms(attempts: i64) -> i64 {
    (100 << attempts.clamp(0, 10)).min(MAX_WAIT_MS)
}
