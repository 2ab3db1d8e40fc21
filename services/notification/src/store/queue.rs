//! The mail queue: the queued messages, each left to one sender at a time.

use std::time::Duration;

use shop_kit::store::StoreError;
use sqlx::Row;

use super::Notifications;
use crate::retry::Next;

/// How long a mail is left to the sender that took it up. Longer than a try can take; a sender that dies leaves its
/// mails to the others after this.
const LEASE_MS: i64 = 45_000;

/// A mail to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The notification.
    pub id: String,
    /// To whom.
    pub recipient: String,
    /// First line.
    pub subject: String,
    /// The rest.
    pub body: String,
    /// The trace that it belongs to.
    pub traceparent: Option<String>,
    /// Which try this is, from 1.
    pub attempts: u32,
    /// When it came about, milliseconds since 1970.
    pub created_at_ms: i64,
}

impl Notifications {
    /// Resolves when there may be something new in the queue.
    pub async fn woken(&self) {
        self.woken.notified().await;
    }

    /// How many mails are still to be sent.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn queued(&self) -> Result<i64, StoreError> {
        let sql = "SELECT COUNT(*) AS n FROM notifications WHERE status = 'queued'";
        let row = sqlx::query(sql).fetch_one(self.store.reader()).await?;
        Ok(row.try_get("n")?)
    }

    /// Takes up at most this many mails whose time has come. The outer condition repeats the inner one, which two
    /// senders can see fulfilled at once.
    ///
    /// # Errors
    /// Those of the database.
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

    /// Writes down what became of a try.
    ///
    /// # Errors
    /// Those of the database. The mail is then tried again when its sender's time is over.
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
