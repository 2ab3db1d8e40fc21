//! The relay: claims rows of the outbox, delivers them, and deletes those that were accepted.
//!
//! Over HTTP a delivery is a row, sent to its subscriber. Over NATS a delivery is an event with all its rows, sent to the
//! server. Claims, waits and shutdown are the same. If a relay dies between delivery and deletion, the row is delivered again:
//! the server knows the event's id and drops it, as does every inbox.

use std::collections::HashSet;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge};
use shop_contract::Role;
use shop_contract::events::Envelope;
use shop_contract::operation::events::push_to;
use shop_resilience::{Deadline, Priority};
use sqlx::Row;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::outbox::{pending, wait_ms};
use super::subscriber::FAILED;
use crate::Kit;
use crate::client::Call;
use crate::context::Context;
use crate::queue::{self, Queue, RunningTasks};
use crate::store::{Store, StoreError};
use crate::telemetry::trace_context::current_context;
use crate::telemetry::{names, propagation};

/// The name of NATS in spans and metrics, in place of a subscriber's role.
const NATS: &str = "nats";
/// Rows claimed at once.
const BATCH: i64 = 32;
/// How long a claim holds. After this, other replicas take over the claims of a dead relay.
const LEASE_MS: i64 = 5_000;
/// The limit for one push with all its attempts. Shorter than a claim.
const PUSH_TIMEOUT: Duration = Duration::from_secs(3);
/// Deliveries running at once.
const MAX_RUNNING: usize = 128;

/// Delivers the events of an outbox. Clones share it.
#[derive(Clone)]
pub struct Relay {
    kit: Kit,
    store: Store,
    woken: Arc<Notify>,
}

/// A row or an event to be delivered.
struct Delivery {
    id: String,
    /// The subscriber; `None` for NATS, where subscribers pull.
    to: Option<String>,
    payload: String,
    attempts: i64,
}

impl Relay {
    /// A relay for the outbox of `store`.
    pub fn new(kit: Kit, store: Store) -> Self {
        Self {
            kit,
            store,
            woken: Arc::default(),
        }
    }

    /// Declares the metrics of a destination at zero, so that a rate over the first delivery is not lost.
    #[must_use]
    pub fn to(self, destination: &'static str, subscribers: &[Role]) -> Self {
        let by_nats = self.kit.nats().map(|_| NATS);
        let roles = subscribers.iter().map(|role| role.name());
        let receivers: Vec<&'static str> =
            by_nats.map_or_else(|| roles.collect(), |nats| vec![nats]);
        self.kit.metrics().record(|| {
            for subscriber in receivers {
                for error in ["", FAILED] {
                    counter!(names::MESSAGING_SENT, "messaging_destination_name" => destination, "subscriber" => subscriber, "error_type" => error)
                        .increment(0);
                }
            }
        });
        self
    }

    /// Call it after a transaction that wrote to the outbox was committed.
    pub fn wake(&self) {
        self.woken.notify_one();
    }

    /// Delivers until shutdown.
    pub async fn run(self, shutdown: CancellationToken) {
        queue::work(&self, &shutdown).await;
    }

    /// Claims rows for the time of a lease. The outer condition repeats the lease check: under PostgreSQL's isolation two
    /// relays can see the same rows in the inner query.
    async fn claim(&self, max: i64) -> Result<Vec<Delivery>, StoreError> {
        let now = self.store.unix_ms();
        let rows = sqlx::query(
            "UPDATE outbox SET lease_until = $1, attempts = attempts + 1
             WHERE lease_until < $2 AND (id, subscriber) IN (
                 SELECT id, subscriber FROM outbox WHERE lease_until < $2
                 ORDER BY created_at_ms, id LIMIT $3)
             RETURNING id, subscriber, payload, attempts",
        )
        .bind(now + LEASE_MS)
        .bind(now)
        .bind(max)
        .fetch_all(self.store.writer())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Delivery {
                    id: row.try_get("id")?,
                    to: Some(row.try_get("subscriber")?),
                    payload: row.try_get("payload")?,
                    attempts: row.try_get("attempts")?,
                })
            })
            .collect()
    }

    async fn deliver(&self, delivery: Delivery) -> Result<(), StoreError> {
        let envelope: Result<Envelope, _> = serde_json::from_str(&delivery.payload);
        let destination = envelope.as_ref().map_or("", |e| e.event.destination());
        let delivered = match envelope {
            Ok(envelope) => self.send(delivery.to.as_deref(), &envelope).await,
            Err(e) => Err(format!("a broken event: {e}")),
        };
        let subscriber = delivery.to.clone().unwrap_or_else(|| NATS.to_owned());
        if let Err(e) = &delivered {
            tracing::debug!(event = delivery.id, subscriber, error = e, "not delivered");
        }
        let result = delivered.as_ref().map_or(FAILED, |()| "");
        self.kit.metrics().record(|| {
            counter!(names::MESSAGING_SENT, "messaging_destination_name" => destination, "subscriber" => subscriber, "error_type" => result)
                .increment(1);
        });
        self.settle(&delivery, delivered.is_ok()).await
    }

    /// Deletes an accepted delivery, and postpones another: the row of the one subscriber, or all rows of the event.
    async fn settle(&self, delivery: &Delivery, accepted: bool) -> Result<(), StoreError> {
        let query = match (accepted, &delivery.to) {
            (true, Some(_)) => "DELETE FROM outbox WHERE id = $1 AND subscriber = $2",
            (true, None) => "DELETE FROM outbox WHERE id = $1",
            (false, Some(_)) => {
                "UPDATE outbox SET lease_until = $3 WHERE id = $1 AND subscriber = $2"
            }
            (false, None) => "UPDATE outbox SET lease_until = $2 WHERE id = $1",
        };
        let mut query = sqlx::query(query).bind(&delivery.id);
        if let Some(subscriber) = &delivery.to {
            query = query.bind(subscriber);
        }
        if !accepted {
            query = query.bind(self.store.unix_ms() + wait_ms(delivery.attempts));
        }
        query.execute(self.store.writer()).await?;
        Ok(())
    }

    /// Sends an event, in a span that belongs to the trace of the event's cause.
    async fn send(&self, to: Option<&str>, envelope: &Envelope) -> Result<(), String> {
        let destination = envelope.event.destination();
        let span = tracing::info_span!(
            "send",
            otel.name = format!("send {destination}"),
            otel.kind = "producer",
            messaging.system = if to.is_some() { "http" } else { NATS },
            messaging.operation.name = "send",
            messaging.operation.type = "send",
            messaging.destination.name = destination,
            messaging.message.id = envelope.id,
            shop.order.id = envelope.subject,
            error.type = tracing::field::Empty,
            otel.status_code = tracing::field::Empty,
        );
        let parent = propagation::from_traceparent(envelope.traceparent.as_deref());
        let _ = span.set_parent(parent);
        let work = async {
            match to {
                Some(subscriber) => self.push(subscriber, envelope).await,
                None => self.publish(envelope).await,
            }
        };
        let sent = work.instrument(span.clone()).await;
        if sent.is_err() {
            span.record("error.type", FAILED);
            span.record("otel.status_code", "ERROR");
        }
        sent
    }

    async fn push(&self, subscriber: &str, envelope: &Envelope) -> Result<(), String> {
        let subscriber = Role::from_str(subscriber).map_err(|e| e.to_string())?;
        let operation =
            push_to(subscriber).ok_or_else(|| format!("{subscriber} takes no events"))?;
        let call = Call::to(operation)
            .json(envelope)
            .map_err(|e| e.to_string())?
            .key(&envelope.id);
        let answer = self.kit.call(call, &self.context()).await;
        match answer {
            Ok(a) if a.status.is_success() => Ok(()),
            Ok(a) => Err(format!("{subscriber} answered {}", a.status)),
            Err(e) => Err(e.to_string()),
        }
    }

    async fn publish(&self, envelope: &Envelope) -> Result<(), String> {
        let nats = self.kit.nats().ok_or("events do not go by NATS")?;
        let traceparent = propagation::traceparent(&current_context());
        let published = nats.publish(envelope, traceparent.as_deref()).await;
        published.map_err(|e| e.to_string())
    }

    /// The context of a delivery. It ends before the claim does, or another replica would send the row a second time.
    fn context(&self) -> Context {
        Context {
            deadline: Some(Deadline::after(self.kit.now(), PUSH_TIMEOUT)),
            // No shopper waits for it: calls of a checkout to the same peer go first.
            priority: Priority::Browsing,
            ..Context::background()
        }
    }
}

impl Queue for Relay {
    const WHAT: &'static str = "deliveries";

    async fn start(&self, running: &mut RunningTasks) -> Result<bool, StoreError> {
        let free = MAX_RUNNING.saturating_sub(running.len()) as i64;
        // Most polls find nothing; they must not take the write connection.
        let pending = pending(&self.store).await?;
        self.kit
            .metrics()
            .record(|| gauge!(names::OUTBOX_PENDING).set(pending as f64));
        if pending == 0 || free == 0 {
            return Ok(false);
        }
        // Without a connection to the server, rows stay unclaimed, so none has to wait for the end of a claim afterwards.
        if let Some(nats) = self.kit.nats()
            && !nats.is_connected().await
        {
            return Ok(false);
        }
        let claimed = self.claim(free.min(BATCH)).await?;
        let more = claimed.len() as i64 == BATCH;
        let deliveries = match self.kit.nats() {
            Some(_) => per_event(claimed),
            None => claimed,
        };
        for delivery in deliveries {
            let relay = self.clone();
            running.spawn(async move { relay.deliver(delivery).await });
        }
        Ok(more)
    }

    async fn woken(&self) {
        self.woken.notified().await;
    }
}

/// One delivery for each event, in place of one per subscriber.
fn per_event(rows: Vec<Delivery>) -> Vec<Delivery> {
    let mut seen = HashSet::new();
    rows.into_iter()
        .filter(|row| seen.insert(row.id.clone()))
        .map(|row| Delivery { to: None, ..row })
        .collect()
}
