//! Messages to customers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /notifications/send` (services only): 201, or 200 when the key was used before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewNotification {
    /// The same key is the same message, however often it is sent.
    #[schema(min_length = 1, pattern = "^[^\\x00]*$", example = "welcome:u-000001")]
    pub key: String,
    /// To whom.
    #[schema(min_length = 1, pattern = "^[^\\x00]*$", example = "u-000001")]
    pub user_id: String,
    /// Where to.
    #[schema(pattern = "^[^\\x00]*$", example = "customer-1@shop.example")]
    pub email: String,
    /// First line.
    #[schema(min_length = 1, pattern = "^[^\\x00]*$", example = "Welcome")]
    pub subject: String,
    /// The rest.
    #[schema(pattern = "^[^\\x00]*$", example = "It is good to have you here.")]
    pub body: String,
}

/// A message to a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Notification {
    /// The message.
    #[schema(example = "0197a1b2-0000-7000-8000-000000000004")]
    pub id: String,
    /// `email`, `sms` or `push`.
    #[schema(example = "email")]
    pub channel: String,
    /// `kept`: it stays in the shop; `queued`: it will be sent; `sent`; `failed`: it was given up.
    #[schema(example = "kept")]
    pub status: String,
    /// First line.
    #[schema(example = "Your order over 39.98 EUR is confirmed")]
    pub subject: String,
    /// The rest.
    #[schema(example = "Thank you.")]
    pub body: String,
    /// When it came about, milliseconds since 1970.
    #[schema(example = 1790000000000_i64)]
    pub created_at_ms: i64,
    /// When a mail server took it, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 1790000000000_i64, nullable = false)]
    pub sent_at_ms: Option<i64>,
}

/// `GET /notifications`: the caller's own, newest first, at most a hundred.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotificationList {
    /// The messages.
    #[schema(max_items = 100)]
    pub items: Vec<Notification>,
}
