//! The notifications' SQL. Each method is one whole transaction.

use shop_contract::audit::AuditLine;
use shop_contract::notification::Notification;
use shop_kit::clock::unix_ms;
use shop_kit::events;
use shop_kit::store::{Store, StoreError};
use sqlx::{AnyConnection, Row};

use crate::message::Message;

/// How many messages a list has.
const LIST: i64 = 100;

/// The messages of the shop.
#[derive(Clone)]
pub struct Notifications {
    store: Store,
}

impl Notifications {
    /// Over an open database.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Keeps the message that an event asks for. False when the event was taken in before.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn take(&self, event_id: &str, message: &Message) -> Result<bool, StoreError> {
        let work = async {
            let mut t = self.store.begin().await?;
            if !events::first_time(&mut t, event_id).await? {
                return Ok(false);
            }
            let new = insert(&mut t, message).await?;
            t.commit().await?;
            Ok(new)
        };
        self.store.operation("insert", "notifications", work).await
    }

    /// Keeps a message. False when one with its key was kept before.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn keep(&self, message: &Message) -> Result<bool, StoreError> {
        let work = async {
            let mut t = self.store.begin().await?;
            let new = insert(&mut t, message).await?;
            t.commit().await?;
            Ok(new)
        };
        self.store.operation("insert", "notifications", work).await
    }

    /// A customer's messages, newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn of_user(&self, user_id: &str) -> Result<Vec<Notification>, StoreError> {
        let work = async {
            let rows = sqlx::query(
                "SELECT id, channel, subject, body, sent_at_ms FROM notifications
                 WHERE user_id = $1 ORDER BY sent_at_ms DESC, id DESC LIMIT $2",
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
                        subject: row.try_get("subject")?,
                        body: row.try_get("body")?,
                        sent_at_ms: row.try_get("sent_at_ms")?,
                    })
                })
                .collect()
        };
        self.store.operation("select", "notifications", work).await
    }

    /// All that is held, for the audit.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn audit(&self) -> Result<Vec<AuditLine>, StoreError> {
        let rows = sqlx::query("SELECT id, about, kind FROM notifications ORDER BY id")
            .fetch_all(self.store.reader())
            .await?;
        rows.iter()
            .map(|row| {
                Ok(AuditLine::Notification {
                    id: row.try_get("id")?,
                    subject: row.try_get("about")?,
                    kind: row.try_get("kind")?,
                })
            })
            .collect()
    }
}

async fn insert(t: &mut AnyConnection, message: &Message) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO notifications (id, key, kind, about, user_id, channel, email, subject, body,
             sent_at_ms)
         VALUES ($1, $2, $3, $4, $5, 'email', $6, $7, $8, $9) ON CONFLICT DO NOTHING",
    )
    .bind(uuid::Uuid::now_v7().to_string())
    .bind(message.key())
    .bind(message.kind)
    .bind(&message.about)
    .bind(&message.user_id)
    .bind(&message.email)
    .bind(&message.subject)
    .bind(&message.body)
    .bind(unix_ms())
    .execute(t)
    .await?;
    Ok(done.rows_affected() == 1)
}
