//! The relay: takes rows from the outbox, pushes each to its subscriber, deletes what was taken.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge};
use shop_contract::Role;
use shop_contract::events::Envelope;
use shop_resilience::Deadline;
use sqlx::Row;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::Kit;
use crate::client::Call;
use crate::clock::unix_ms;
use crate::context::Context;
use crate::store::{Store, StoreError};
use crate::telemetry::{names, propagation};

/// Rows claimed at once.
const BATCH: i64 = 32;
/// How long a claim holds. A relay that dies leaves its claims to the other replicas after this.
const LEASE_MS: i64 = 5_000;
/// How long one delivery may take, all its tries together. Shorter than a claim.
const PUSH: Duration = Duration::from_secs(3);
/// Deliveries that may be under way at once.
const MOST_UNDER_WAY: usize = 128;
/// Without a wake-up, how often the outbox is looked at: for rows of a replica that died, and rows whose wait is over.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The longest wait between two deliveries of the same row.
const LONGEST_WAIT_MS: i64 = 10_000;

/// Delivers what is in an outbox. Cloning shares it.
#[derive(Clone)]
pub struct Relay {
    kit: Kit,
    store: Store,
    woken: Arc<Notify>,
}

type Deliveries = JoinSet<Result<(), StoreError>>;

struct Claimed {
    id: String,
    subscriber: String,
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

    /// To be called after a transaction that wrote into the outbox was committed.
    pub fn wake(&self) {
        self.woken.notify_one();
    }

    /// Delivers until told to stop.
    pub async fn run(self, shutdown: CancellationToken) {
        // Deliveries go on beside each other and are not waited for: a subscriber that hangs holds up its own rows
        // alone, up to the number that may be under way.
        let mut under_way = JoinSet::new();
        while !shutdown.is_cancelled() {
            let room = MOST_UNDER_WAY.saturating_sub(under_way.len()) as i64;
            let claimed = match self.begin_batch(room.min(BATCH), &mut under_way).await {
                Ok(claimed) => claimed,
                Err(e) => {
                    tracing::warn!(error = %e, "the outbox cannot be read");
                    0
                }
            };
            if claimed == BATCH {
                continue;
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.woken.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                Some(done) = under_way.join_next() => told(done),
            }
            while let Some(done) = under_way.try_join_next() {
                told(done);
            }
        }
        while let Some(done) = under_way.join_next().await {
            told(done);
        }
    }

    async fn begin_batch(&self, most: i64, under_way: &mut Deliveries) -> Result<i64, StoreError> {
        // Most looks find nothing; they must not take the writers' turn.
        let pending = super::pending(&self.store).await?;
        self.kit
            .metrics()
            .record(|| gauge!(names::OUTBOX_PENDING).set(pending as f64));
        if pending == 0 || most == 0 {
            return Ok(0);
        }
        let claimed = self.claim(most).await?;
        let count = claimed.len() as i64;
        for row in claimed {
            let relay = self.clone();
            under_way.spawn(async move { relay.deliver(row).await });
        }
        Ok(count)
    }

    /// Claims rows for the time of a lease. The outer condition repeats the lease: under PostgreSQL's isolation two
    /// claimants can see the same rows in the inner one.
    async fn claim(&self, most: i64) -> Result<Vec<Claimed>, StoreError> {
        let now = unix_ms();
        let rows = sqlx::query(
            "UPDATE outbox SET lease_until = $1, attempts = attempts + 1
             WHERE lease_until < $2 AND (id, subscriber) IN (
                 SELECT id, subscriber FROM outbox WHERE lease_until < $2
                 ORDER BY created_at_ms LIMIT $3)
             RETURNING id, subscriber, payload, attempts",
        )
        .bind(now + LEASE_MS)
        .bind(now)
        .bind(most)
        .fetch_all(self.store.writer())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Claimed {
                    id: row.try_get("id")?,
                    subscriber: row.try_get("subscriber")?,
                    payload: row.try_get("payload")?,
                    attempts: row.try_get("attempts")?,
                })
            })
            .collect()
    }

    async fn deliver(&self, row: Claimed) -> Result<(), StoreError> {
        let envelope: Result<Envelope, _> = serde_json::from_str(&row.payload);
        let destination = envelope.as_ref().map_or("", |e| e.event.destination());
        let pushed = match envelope {
            Ok(envelope) => self.push(&row.subscriber, &envelope).await,
            Err(e) => Err(format!("a broken event: {e}")),
        };
        let taken = match pushed {
            Ok(()) => true,
            Err(e) => {
                tracing::debug!(
                    event = row.id,
                    subscriber = row.subscriber,
                    error = e,
                    "not delivered"
                );
                false
            }
        };
        let (result, subscriber) = (if taken { "" } else { "failed" }, row.subscriber.clone());
        self.kit.metrics().record(|| {
            counter!(names::MESSAGING_SENT, "messaging_destination_name" => destination, "subscriber" => subscriber, "error_type" => result)
                .increment(1);
        });
        let query = if taken {
            sqlx::query("DELETE FROM outbox WHERE id = $1 AND subscriber = $2")
        } else {
            sqlx::query("UPDATE outbox SET lease_until = $3 WHERE id = $1 AND subscriber = $2")
        };
        let query = query.bind(row.id).bind(row.subscriber);
        let query = if taken {
            query
        } else {
            query.bind(unix_ms() + wait_ms(row.attempts))
        };
        query.execute(self.store.writer()).await?;
        Ok(())
    }

    /// A delivery ends before its claim does, or another replica would send the row a second time.
    fn context(&self) -> Context {
        Context {
            deadline: Some(Deadline::after(self.kit.now(), PUSH)),
            ..Context::background()
        }
    }

    async fn push(&self, subscriber: &str, envelope: &Envelope) -> Result<(), String> {
        let subscriber = Role::from_str(subscriber).map_err(|e| e.to_string())?;
        let destination = envelope.event.destination();
        let span = tracing::info_span!(
            "send",
            otel.name = format!("send {destination}"),
            otel.kind = "producer",
            messaging.system = "http",
            messaging.operation.type = "send",
            messaging.destination.name = destination,
            messaging.message.id = envelope.id,
            shop.order.id = envelope.subject,
            otel.status_code = tracing::field::Empty,
        );
        // The relay works later and elsewhere, yet what it does belongs to what caused the event.
        let _ = span.set_parent(propagation::from_traceparent(
            envelope.traceparent.as_deref(),
        ));
        let call = Call::post("/events", "/events", envelope)
            .map_err(|e| e.to_string())?
            .key(&envelope.id);
        let answer = self
            .kit
            .call(subscriber, call, &self.context())
            .instrument(span.clone())
            .await;
        match answer {
            Ok(a) if a.status.is_success() => Ok(()),
            Ok(a) => {
                span.record("otel.status_code", "ERROR");
                Err(format!("{subscriber} answered {}", a.status))
            }
            Err(e) => {
                span.record("otel.status_code", "ERROR");
                Err(e.to_string())
            }
        }
    }
}

fn told(done: Result<Result<(), StoreError>, JoinError>) {
    match done {
        Ok(Ok(())) => {}
        Ok(Err(e)) => tracing::warn!(error = %e, "an outbox row cannot be updated"),
        Err(e) => tracing::error!(error = %e, "a delivery panicked"),
    }
}

/// The wait before the next delivery: 100 ms doubled with each one before, ten seconds at most.
fn wait_ms(attempts: i64) -> i64 {
    (100 << attempts.clamp(0, 10)).min(LONGEST_WAIT_MS)
}
