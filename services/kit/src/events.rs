//! Events between services: a transactional outbox, a relay that delivers, an inbox that deduplicates.
//!
//! A service writes what happened into its outbox in the same transaction as the change itself, so neither exists
//! without the other. The relay delivers: at least once, in no promised order. The subscriber writes the event's id
//! into its inbox in the same transaction as what it does about it, so doing it twice is impossible.
//!
//! There are two ways from the one to the other, chosen by [`crate::config::Events`], and neither the writer of an
//! event nor the [`Subscriber`] knows which it is. *HTTP*: the relay pushes each row to the `POST /events` of its
//! subscriber until that one has taken it; a dead subscriber holds up nobody else, since each has rows of its own.
//! *NATS JetStream*: the relay publishes each event once, forgets it when the server has it on disk, and each
//! subscriber draws it from there.
//!
//! The outbox has a row per subscriber in both cases, though NATS could do with one per event: so a shop can be
//! stopped with one setting and started with the other, and whatever was still in the outbox arrives.
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

mod draw;
pub(crate) mod nats;
mod relay;

use std::time::Instant;

use axum::http::StatusCode;
use metrics::{counter, histogram};
use shop_contract::Role;
use shop_contract::events::{Envelope, Event, kinds};
use sqlx::AnyConnection;
use sqlx::Row;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::Kit;
use crate::problem::ApiError;
use crate::service::Worker;
use crate::store::{Store, StoreError};
use crate::telemetry::tracing::current_context;
use crate::telemetry::{names, propagation};
pub use nats::forget;
pub use relay::Relay;

/// The longest wait between two deliveries of the same event.
const LONGEST_WAIT_MS: i64 = 10_000;
/// What metrics call an event that could not be acted on, or not be handed over.
const FAILED: &str = "failed";

/// What became of an event at its subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It was acted on.
    Done,
    /// It had been acted on before.
    Duplicate,
    /// This subscriber does nothing about such events.
    Unwanted,
}

impl Taken {
    /// What the metrics call it.
    fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Duplicate => "duplicate",
            Self::Unwanted => "unwanted",
        }
    }
}

/// Whether it was new.
impl From<bool> for Taken {
    fn from(new: bool) -> Self {
        if new { Self::Done } else { Self::Duplicate }
    }
}

/// Who acts on events. The same code, whichever way they come.
pub trait Subscriber: Clone + Send + Sync + 'static {
    /// Where the events are that it may want, see [`Event::destination`].
    const DESTINATIONS: &'static [&'static str];

    /// Acts on an event, in one transaction with the row in the inbox ([`first_time`]).
    ///
    /// # Errors
    /// Those of the database. The event comes again.
    fn take(&self, envelope: &Envelope) -> impl Future<Output = Result<Taken, StoreError>> + Send;
}

/// The workers that bring a subscriber its events. None over HTTP, where events come by themselves to `POST /events`.
pub fn workers<S: Subscriber>(
    kit: &Kit,
    subscriber: &S,
    shutdown: &CancellationToken,
) -> Vec<Worker> {
    for destination in S::DESTINATIONS {
        declare(kit, destination);
    }
    let Some(nats) = kit.nats() else {
        return Vec::new();
    };
    let draw = |destination: &&'static str| {
        let (kit, nats, subscriber) = (kit.clone(), nats.clone(), subscriber.clone());
        let work = draw::run(kit, nats, subscriber, destination, shutdown.clone());
        Box::pin(work) as Worker
    };
    S::DESTINATIONS.iter().map(draw).collect()
}

/// An event in its envelope, carrying the trace of what is being done now. `time_ms` is the source's time of day.
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
    received_at_ms: i64,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO inbox (event_id, received_at_ms) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    )
    .bind(event_id)
    .bind(received_at_ms)
    .execute(transaction)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes in one event at `POST /events`: `act` gives what became of it, or whether it was new. 204 in any case.
///
/// # Errors
/// Those of `act`, as 500: the relay comes again.
pub async fn receive<T: Into<Taken>>(
    kit: &Kit,
    envelope: &Envelope,
    act: impl Future<Output = Result<T, StoreError>>,
) -> Result<StatusCode, ApiError> {
    process(kit, "http", None, envelope, act).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Shows what may become of events at zero, so that a rate over the first one is not lost.
fn declare(kit: &Kit, destination: &'static str) {
    let taken = [Taken::Done, Taken::Duplicate, Taken::Unwanted].map(Taken::name);
    kit.metrics().record(|| {
        for kind in kinds(destination) {
            for outcome in taken.into_iter().chain([FAILED]) {
                counter!(names::MESSAGING_CONSUMED, "messaging_destination_name" => destination, "event" => *kind, "outcome" => outcome)
                    .increment(0);
            }
        }
    });
}

/// Has an event acted on, with its span and its figures. The span belongs to `parent`, or to what is being done now.
async fn process<T: Into<Taken>>(
    kit: &Kit,
    system: &'static str,
    parent: Option<opentelemetry::Context>,
    envelope: &Envelope,
    act: impl Future<Output = Result<T, StoreError>>,
) -> Result<Taken, StoreError> {
    let destination = envelope.event.destination();
    let span = tracing::info_span!(
        "process",
        otel.name = format!("process {destination}"),
        otel.kind = "consumer",
        messaging.system = system,
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.name = destination,
        messaging.message.id = envelope.id,
        shop.order.id = envelope.subject,
        error.type = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
        shop.fault = tracing::field::Empty,
    );
    if let Some(parent) = parent {
        let _ = span.set_parent(parent);
    }
    let started = Instant::now();
    let result = act.instrument(span.clone()).await.map(Into::into);
    let outcome = result.as_ref().map_or(FAILED, |taken: &Taken| taken.name());
    if result.is_err() {
        // As the figure's outcome is called.
        span.record("error.type", outcome);
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
    result
}

/// The wait before the next delivery of an event: 100 ms doubled with each one before, [`LONGEST_WAIT_MS`] at most.
fn wait_ms(attempts: i64) -> i64 {
    (100 << attempts.clamp(0, 10)).min(LONGEST_WAIT_MS)
}
