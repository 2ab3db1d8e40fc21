//! Events between services: a transactional outbox, a relay that delivers, an inbox that deduplicates.
//!
//! A service writes what happened into its outbox in the same transaction as the change itself, so neither exists
//! without the other. The relay pushes each row to its subscriber until that one has taken it: at least once, in no
//! promised order, and a dead subscriber holds up nobody else, since each has rows of its own. The subscriber writes
//! the event's id into its inbox in the same transaction as what it does about it, so doing it twice is impossible.
//!
//! A service with an outbox has this table, and a subscriber the second one:
//!
//! ```sql
//! CREATE TABLE outbox (
//!     id TEXT NOT NULL, subscriber TEXT NOT NULL, payload TEXT NOT NULL,
//!     lease_until BIGINT NOT NULL, attempts BIGINT NOT NULL, created_at_ms BIGINT NOT NULL,
//!     PRIMARY KEY (id, subscriber)
//! );
//! CREATE TABLE inbox (event_id TEXT PRIMARY KEY, received_at_ms BIGINT NOT NULL);
//! ```

mod relay;

use std::time::Instant;

use axum::http::StatusCode;
use metrics::{counter, histogram};
use shop_contract::Role;
use shop_contract::events::{Envelope, Event};
use sqlx::AnyConnection;
use sqlx::Row;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::Kit;
use crate::clock::unix_ms;
use crate::problem::ApiError;
use crate::store::{Store, StoreError};
use crate::telemetry::{names, propagation};
pub use relay::Relay;

/// An event in its envelope, carrying the trace of what is being done now.
pub fn envelope(source: Role, subject: &str, event: Event) -> Envelope {
    Envelope {
        id: uuid::Uuid::now_v7().to_string(),
        source: source.name().to_owned(),
        subject: subject.to_owned(),
        time_ms: unix_ms(),
        traceparent: propagation::traceparent(&tracing::Span::current().context()),
        event,
    }
}

/// Writes an event into the outbox, within the transaction of the change that it tells of.
///
/// # Errors
/// Those of the database.
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

/// How many deliveries are still to be made.
///
/// # Errors
/// Those of the database.
pub async fn pending(store: &Store) -> Result<i64, StoreError> {
    let row = sqlx::query("SELECT COUNT(*) AS n FROM outbox")
        .fetch_one(store.reader())
        .await?;
    Ok(row.try_get("n")?)
}

/// Notes an event in the inbox, within the transaction that acts on it. False when it was there already: then there
/// is nothing to do.
///
/// # Errors
/// Those of the database.
pub async fn first_time(
    transaction: &mut AnyConnection,
    event_id: &str,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO inbox (event_id, received_at_ms) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    )
    .bind(event_id)
    .bind(unix_ms())
    .execute(transaction)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes in one event at `POST /events`: `act` gives whether it was new. 204 either way.
///
/// # Errors
/// Those of `act`, as 500: the relay comes again.
pub async fn receive(
    kit: &Kit,
    envelope: &Envelope,
    act: impl Future<Output = Result<bool, StoreError>>,
) -> Result<StatusCode, ApiError> {
    let destination = envelope.event.destination();
    let span = tracing::info_span!(
        "process",
        otel.name = format!("process {destination}"),
        otel.kind = "consumer",
        messaging.system = "http",
        messaging.operation.type = "process",
        messaging.destination.name = destination,
        messaging.message.id = envelope.id,
        shop.order.id = envelope.subject,
        otel.status_code = tracing::field::Empty,
    );
    let started = Instant::now();
    let result = act.instrument(span.clone()).await;
    let outcome = match &result {
        Ok(true) => "done",
        Ok(false) => "duplicate",
        Err(_) => "failed",
    };
    if result.is_err() {
        span.record("otel.status_code", "ERROR");
    }
    let _in_span = span.enter();
    kit.metrics().record(|| {
        let kind = envelope.event.kind();
        counter!(names::MESSAGING_CONSUMED, "messaging_destination_name" => destination, "event" => kind, "outcome" => outcome)
            .increment(1);
        histogram!(names::MESSAGING_PROCESS, "messaging_destination_name" => destination, "event" => kind)
            .record(started.elapsed().as_secs_f64());
    });
    result?;
    Ok(StatusCode::NO_CONTENT)
}
