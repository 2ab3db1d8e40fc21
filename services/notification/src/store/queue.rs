//! The mail queue: queued messages, each leased to one sender at a time.

use std::time::Duration;

use shop_kit::store::StoreError;
use sqlx::Row;

use super::Notifications;
use crate::retry::Next;

/// The lease of a mail. Longer than a try can take. When a sender dies, its mails are free again after this.
const LEASE_MS: i64 = 45_000;

/// A mail to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The notification.
    pub id: String,
    /// The address.
    pub recipient: String,
    /// The first line.
    pub subject: String,
    /// The rest.
    pub body: String,
    /// The trace of its cause.
    pub traceparent: Option<String>,
    /// Which try this is, from 1.
    pub attempts: u32,
    /// When it was created, milliseconds since 1970.
    pub created_at_ms: i64,
}

impl Notifications {
    /// Resolves when the queue may have something new.
    pub async fn woken(&self) {
        self.woken.notified().await;
    }

    /// How many mails are queued.
    ///
    /// # Errors
    /// A database error.
    pub async fn queued(&self) -> Result<i64, StoreError> {
        let sql = "SELECT COUNT(*) AS n FROM notifications WHERE status = 'queued'";
        let row = sqlx::query(sql).fetch_one(self.store.reader()).await?;
        Ok(row.try_get("n")?)
    }

    /// Leases at most this many mails that are due. The outer condition repeats the inner one, which two senders may
    /// find true at once.
    ///
    /// # Errors
    /// A database error.
    pub async fn take_up(&self, most: i64) -> Result<Vec<Mail>, StoreError> {
        let now = self.store.unix_ms();
        let rows = sqlx::query(
            "UPDATE notifications SET due_at_ms = $1, attempts = attempts + 1
             WHERE status = 'queued' AND due_at_ms <= $2 AND id IN (
                 SELECT id FROM notifications WHERE status = 'queued' AND due_at_ms <= $2
                 ORDER BY due_at_ms LIMIT $3)
             RETURNING id, recipient, subject, body, traceparent, attempts, created_at_ms",
        )
        .bind(now + LEASE_MS)
        .bind(now)
        .bind(most)
        .fetch_all(self.store.writer())
        .await?;
        rows.iter()
            .map(|row| {
                let attempts: i64 = row.try_get("attempts")?;
                Ok(Mail {
                    id: row.try_get("id")?,
                    recipient: row.try_get("recipient")?,
                    subject: row.try_get("subject")?,
                    body: row.try_get("body")?,
                    traceparent: row.try_get("traceparent")?,
                    attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
                    created_at_ms: row.try_get("created_at_ms")?,
                })
            })
            .collect()
    }

    /// Stores the result of a try.
    ///
    /// # Errors
    /// A database error. The mail is then tried again when its lease is over.
    pub async fn settle(&self, id: &str, next: &Next) -> Result<(), StoreError> {
        let now = self.store.unix_ms();
        let query = match next {
            Next::Sent => sqlx::query(
                "UPDATE notifications SET status = 'sent', sent_at_ms = $1, trouble = NULL
                 WHERE id = $2 AND status = 'queued'",
            )
            .bind(now)
            .bind(id),
            Next::Again(wait, why) => sqlx::query(
                "UPDATE notifications SET due_at_ms = $1, trouble = $2
                 WHERE id = $3 AND status = 'queued'",
            )
            .bind(now + ms(*wait))
            .bind(why)
            .bind(id),
            Next::GiveUp(why) => sqlx::query(
                "UPDATE notifications SET status = 'failed', trouble = $1
                 WHERE id = $2 AND status = 'queued'",
            )
            .bind(why)
            .bind(id),
        };
        let work = async {
            query.execute(self.store.writer()).await?;
            Ok(())
        };
        self.store.operation("update", "notifications", work).await
    }
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
