//! The notifications' SQL. Each method is one whole transaction.

pub mod queue;

use std::sync::Arc;

use metrics::counter;
use shop_contract::audit::{AuditLine, Moving};
use shop_contract::notification::Notification;
use shop_kit::audit::AuditSource;
use shop_kit::events;
use shop_kit::store::{Store, StoreError};
use shop_kit::telemetry::metrics::Metrics;
use shop_kit::telemetry::{names, propagation, trace_context::current_context};
use sqlx::{AnyConnection, Row};
use tokio::sync::Notify;

use crate::channel::Channel;
use crate::message::Message;

/// The length of a list.
const LIST: i64 = 100;

/// The messages of the shop. Cloning shares.
#[derive(Clone)]
pub struct Notifications {
    store: Store,
    metrics: Metrics,
    /// Whether e-mail is sent. Otherwise it is only stored.
    sends_mail: bool,
    woken: Arc<Notify>,
}

impl Notifications {
    /// On an open database.
    pub fn new(store: Store, metrics: Metrics, sends_mail: bool) -> Self {
        metrics.record(|| {
            for channel in Channel::ALL {
                counter!(names::NOTIFICATIONS, "channel" => channel.name(), "outcome" => "kept")
                    .increment(0);
            }
        });
        Self {
            store,
            metrics,
            sends_mail,
            woken: Arc::default(),
        }
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Stores the messages of an event. False if the event was handled before, or all its messages exist.
    ///
    /// # Errors
    /// A database error.
    pub async fn take(&self, event_id: &str, messages: &[Message]) -> Result<bool, StoreError> {
        let work = async {
            let mut t = self.store.begin().await?;
            if !events::first_time(&mut t, event_id, self.store.unix_ms()).await? {
                return Ok(false);
            }
            let mut new = Vec::new();
            for message in messages {
                if self.insert(&mut t, message).await? {
                    new.push(message);
                }
            }
            t.commit().await?;
            self.announce(&new);
            Ok(!new.is_empty())
        };
        self.store.operation("insert", "notifications", work).await
    }

    /// Stores a message. False if one with its key exists.
    ///
    /// # Errors
    /// A database error.
    pub async fn keep(&self, message: &Message) -> Result<bool, StoreError> {
        let work = async {
            let mut t = self.store.begin().await?;
            let new = self.insert(&mut t, message).await?;
            t.commit().await?;
            if new {
                self.announce(&[message]);
            }
            Ok(new)
        };
        self.store.operation("insert", "notifications", work).await
    }

    /// A customer's messages, newest first.
    ///
    /// # Errors
    /// A database error.
    pub async fn of_user(&self, user_id: &str) -> Result<Vec<Notification>, StoreError> {
        let work = async {
            let rows = sqlx::query(
                "SELECT id, channel, status, subject, body, created_at_ms, sent_at_ms
                 FROM notifications
                 WHERE user_id = $1 ORDER BY created_at_ms DESC, id DESC LIMIT $2",
            )
            .bind(user_id)
            .bind(LIST)
            .fetch_all(self.store.reader())
            .await?;
            rows.iter()
                .map(|row| {
                    Ok(Notification {
                        id: row.try_get("id")?,
                        channel: row.try_get("channel")?,
                        status: row.try_get("status")?,
                        subject: row.try_get("subject")?,
                        body: row.try_get("body")?,
                        created_at_ms: row.try_get("created_at_ms")?,
                        sent_at_ms: row.try_get("sent_at_ms")?,
                    })
                })
                .collect()
        };
        self.store.operation("select", "notifications", work).await
    }

    /// The status of a new message: to be sent, or only stored. Text messages and pushes have no provider.
    fn status(&self, message: &Message) -> &'static str {
        let mail = message.channel == Channel::Email && !message.recipient.is_empty();
        if self.sends_mail && mail {
            "queued"
        } else {
            "kept"
        }
    }

    async fn insert(&self, t: &mut AnyConnection, message: &Message) -> Result<bool, StoreError> {
        let now = self.store.unix_ms();
        let done = sqlx::query(
            "INSERT INTO notifications (id, key, kind, about, user_id, channel, recipient, subject,
                 body, created_at_ms, traceparent, status, attempts, due_at_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, $10)
             ON CONFLICT DO NOTHING",
        )
        .bind(uuid::Uuid::now_v7().to_string())
        .bind(message.key())
        .bind(message.kind)
        .bind(&message.about)
        .bind(&message.user_id)
        .bind(message.channel.name())
        .bind(&message.recipient)
        .bind(&message.subject)
        .bind(&message.body)
        .bind(now)
        .bind(propagation::traceparent(&current_context()))
        .bind(self.status(message))
        .execute(t)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// After the commit: counts messages that are only stored, and wakes the sender for those that are to be sent.
    fn announce(&self, new: &[&Message]) {
        for message in new {
            if self.status(message) == "queued" {
                self.woken.notify_one();
                continue;
            }
            self.metrics.record(|| {
                let channel = message.channel.name();
                counter!(names::NOTIFICATIONS, "channel" => channel, "outcome" => "kept")
                    .increment(1);
            });
        }
    }
}

impl AuditSource for Notifications {
    async fn rows(&self, after: &str, most: i64) -> Result<Vec<AuditLine>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, about, kind, channel, status FROM notifications
             WHERE id > $1 ORDER BY id LIMIT $2",
        )
        .bind(after)
        .bind(most)
        .fetch_all(self.store.reader())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(AuditLine::Notification {
                    id: row.try_get("id")?,
                    subject: row.try_get("about")?,
                    kind: row.try_get("kind")?,
                    channel: row.try_get("channel")?,
                    status: row.try_get("status")?,
                })
            })
            .collect()
    }

    async fn moving(&self) -> Result<Moving, StoreError> {
        Ok(Moving {
            mail: self.queued().await?,
            ..Moving::default()
        })
    }
}
