//! The relay: takes rows from the outbox, hands over what is in them, deletes what was taken.
//!
//! Over HTTP a delivery is a row, and its subscriber takes it. Over NATS a delivery is an event with all its rows, and
//! the server takes it. Claims, waits and the end are the same. A relay that dies between handing over and deleting
//! leaves the row to be handed over again: the server knows the event's id and drops it, as does every inbox.

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

use super::{FAILED, wait_ms};
use crate::Kit;
use crate::client::Call;
use crate::context::Context;
use crate::queue::{self, Queue, UnderWay};
use crate::store::{Store, StoreError};
use crate::telemetry::tracing::current_context;
use crate::telemetry::{names, propagation};

/// What spans and metrics call NATS, which is nobody's role.
const NATS: &str = "nats";
/// Rows claimed at once.
const BATCH: i64 = 32;
/// How long a claim holds. A relay that dies leaves its claims to the other replicas after this.
const LEASE_MS: i64 = 5_000;
/// How long one push may take, all its tries together. Shorter than a claim.
const PUSH: Duration = Duration::from_secs(3);
/// Deliveries that may be under way at once.
const MOST_UNDER_WAY: usize = 128;
/// Delivers what is in an outbox. Cloning shares it.
#[derive(Clone)]
pub struct Relay {
    kit: Kit,
    store: Store,
    woken: Arc<Notify>,
}

/// Something to be handed over.
struct Delivery {
    id: String,
    /// To one subscriber; without, to whoever draws it.
    to: Option<String>,
    payload: String,
    attempts: i64,
}

impl Relay {
    /// A relay over the outbox of `store`.
    pub fn new(kit: Kit, store: Store) -> Self {
        Self {
            kit,
            store,
            woken: Arc::default(),
        }
    }

    /// Shows the deliveries to come at zero, so that a rate over the first one is not lost.
    #[must_use]
    pub fn to(self, destination: &'static str, subscribers: &[Role]) -> Self {
        let by_nats = self.kit.nats().map(|_| NATS);
        let roles = subscribers.iter().map(|role| role.name());
        let whom: Vec<&'static str> = by_nats.map_or_else(|| roles.collect(), |nats| vec![nats]);
        self.kit.metrics().record(|| {
            for subscriber in whom {
                for error in ["", FAILED] {
                    counter!(names::MESSAGING_SENT, "messaging_destination_name" => destination, "subscriber" => subscriber, "error_type" => error)
                        .increment(0);
                }
            }
        });
        self
    }

    /// To be called after a transaction that wrote into the outbox was committed.
    pub fn wake(&self) {
        self.woken.notify_one();
    }

    /// Delivers until told to stop.
    pub async fn run(self, shutdown: CancellationToken) {
        queue::work(&self, &shutdown).await;
    }

    /// Claims rows for the time of a lease. The outer condition repeats the lease: under PostgreSQL's isolation two
    /// claimants can see the same rows in the inner one.
    async fn claim(&self, most: i64) -> Result<Vec<Delivery>, StoreError> {
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
        .bind(most)
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
        let handed_over = match envelope {
            Ok(envelope) => self.hand_over(delivery.to.as_deref(), &envelope).await,
            Err(e) => Err(format!("a broken event: {e}")),
        };
        let subscriber = delivery.to.clone().unwrap_or_else(|| NATS.to_owned());
        if let Err(e) = &handed_over {
            tracing::debug!(event = delivery.id, subscriber, error = e, "not delivered");
        }
        let result = handed_over.as_ref().map_or(FAILED, |()| "");
        self.kit.metrics().record(|| {
            counter!(names::MESSAGING_SENT, "messaging_destination_name" => destination, "subscriber" => subscriber, "error_type" => result)
                .increment(1);
        });
        self.settle(&delivery, handed_over.is_ok()).await
    }

    /// Deletes what was taken, and puts off what was not: the row of the one subscriber, or all of the event's.
    async fn settle(&self, delivery: &Delivery, taken: bool) -> Result<(), StoreError> {
        let query = match (taken, &delivery.to) {
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
        if !taken {
            query = query.bind(self.store.unix_ms() + wait_ms(delivery.attempts));
        }
        query.execute(self.store.writer()).await?;
        Ok(())
    }

    /// Hands an event over, in a span of its own that belongs to what caused the event: the relay works later and
    /// elsewhere.
    async fn hand_over(&self, to: Option<&str>, envelope: &Envelope) -> Result<(), String> {
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
        let handed_over = work.instrument(span.clone()).await;
        if handed_over.is_err() {
            span.record("error.type", FAILED);
            span.record("otel.status_code", "ERROR");
        }
        handed_over
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

    /// A delivery ends before its claim does, or another replica would send the row a second time.
    fn context(&self) -> Context {
        Context {
            deadline: Some(Deadline::after(self.kit.now(), PUSH)),
            // Nobody waits for it: what is asked of the same peer on the way of a checkout goes before.
            priority: Priority::Browsing,
            ..Context::background()
        }
    }
}

impl Queue for Relay {
    const WHAT: &'static str = "deliveries";

    async fn begin(&self, under_way: &mut UnderWay) -> Result<bool, StoreError> {
        let room = MOST_UNDER_WAY.saturating_sub(under_way.len()) as i64;
        // Most looks find nothing; they must not take the writers' turn.
        let pending = super::pending(&self.store).await?;
        self.kit
            .metrics()
            .record(|| gauge!(names::OUTBOX_PENDING).set(pending as f64));
        if pending == 0 || room == 0 {
            return Ok(false);
        }
        // While there is no server to publish to, rows rest unclaimed, and none has a wait to sit out afterwards.
        if let Some(nats) = self.kit.nats()
            && !nats.is_connected().await
        {
            return Ok(false);
        }
        let claimed = self.claim(room.min(BATCH)).await?;
        let more = claimed.len() as i64 == BATCH;
        let deliveries = match self.kit.nats() {
            Some(_) => once_each(claimed),
            None => claimed,
        };
        for delivery in deliveries {
            let relay = self.clone();
            under_way.spawn(async move { relay.deliver(delivery).await });
        }
        Ok(more)
    }

    async fn woken(&self) {
        self.woken.notified().await;
    }
}

/// One delivery of each event for all its subscribers.
fn once_each(rows: Vec<Delivery>) -> Vec<Delivery> {
    let mut seen = HashSet::new();
    rows.into_iter()
        .filter(|row| seen.insert(row.id.clone()))
        .map(|row| Delivery { to: None, ..row })
        .collect()
}
