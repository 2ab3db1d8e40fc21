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

/// A message to a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The message.
    pub id: String,
    /// `email`, `sms` or `push`.
    pub channel: String,
    /// `kept`: it stays in the shop; `queued`: it will be sent; `sent`; `failed`: it was given up.
    pub status: String,
    /// First line.
    pub subject: String,
    /// The rest.
    pub body: String,
    /// When it came about, milliseconds since 1970.
    pub created_at_ms: i64,
    /// When a mail server took it, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at_ms: Option<i64>,
}

/// `GET /notifications`: the caller's own, newest first, at most a hundred.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationList {
    /// The messages.
    pub items: Vec<Notification>,
}
