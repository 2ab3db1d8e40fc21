//! Messages to customers.

use serde::{Deserialize, Serialize};

/// `POST /notifications/send` (services only): 201, or 200 when the key was used before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewNotification {
    /// The same key is the same message, however often it is sent.
    pub key: String,
    /// To whom.
    pub user_id: String,
    /// Where to.
    pub email: String,
    /// First line.
    pub subject: String,
    /// The rest.
    pub body: String,
}

/// A message that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The message.
    pub id: String,
    /// `email`.
    pub channel: String,
    /// First line.
    pub subject: String,
    /// The rest.
    pub body: String,
    /// Milliseconds since 1970.
    pub sent_at_ms: i64,
}

/// `GET /notifications`: the caller's own, newest first, at most a hundred.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationList {
    /// The messages.
    pub items: Vec<Notification>,
}
