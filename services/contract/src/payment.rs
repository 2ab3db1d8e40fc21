//! Payments, as the shop keeps them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::money::Money;

/// `POST /payments` (services only), header `Idempotency-Key`: 201 captured; 402 `card-declined`;
/// 503 `bank-unavailable` when the outcome is unknown and the same key must be asked again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewPayment {
    /// What is paid for.
    #[schema(
        min_length = 1,
        pattern = "^[^\\x00]*$",
        example = "0197a1b2-0000-7000-8000-000000000001"
    )]
    pub order_id: String,
    /// Who pays.
    #[schema(min_length = 1, pattern = "^[^\\x00]*$", example = "u-000001")]
    pub user_id: String,
    /// How much.
    #[schema(schema_with = crate::money::positive_schema)]
    pub amount: Money,
    /// The bank's token for the card. Card numbers never come near the shop.
    #[schema(pattern = "^tok_[A-Za-z0-9_]{1,60}$", example = "tok_good")]
    pub card: String,
}

/// `GET /payments/{id}`, for its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Payment {
    /// The payment.
    #[schema(min_length = 1, example = "0197a1b2-0000-7000-8000-000000000002")]
    pub id: String,
    /// What it is for.
    #[schema(example = "0197a1b2-0000-7000-8000-000000000001")]
    pub order_id: String,
    /// Where it stands.
    pub status: PaymentStatus,
    /// How much.
    pub amount: Money,
}

/// The life of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PaymentStatus {
    /// Asked of the bank; its answer is not known yet.
    Pending,
    /// Taken.
    Captured,
    /// Refused by the bank.
    Declined,
    /// Taken and given back.
    Refunded,
}

impl PaymentStatus {
    /// As stored and sent.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Captured => "captured",
            Self::Declined => "declined",
            Self::Refunded => "refunded",
        }
    }
}
