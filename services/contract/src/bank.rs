//! The bank's interface. An outside party: it knows nothing of orders.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::money::Money;

/// A card token that the bank always accepts.
pub const CARD_GOOD: &str = "tok_good";
/// A card token that the bank always declines.
pub const CARD_DECLINED: &str = "tok_declined";

/// Whether a text has the form of a card token: `tok_` and up to 60 of a-z, A-Z, 0-9 and `_`. Only the bank knows which
/// of them are cards.
pub fn is_card_token(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.strip_prefix("tok_")
        .is_some_and(|rest| (1..=60).contains(&rest.len()) && rest.chars().all(plain))
}

/// `POST /charges`, header `Idempotency-Key`: 201, or 200 for a key that was used; 402 `card-declined`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewCharge {
    /// How much.
    #[schema(schema_with = crate::money::positive_schema)]
    pub amount: Money,
    /// Which card.
    #[schema(pattern = "^tok_[A-Za-z0-9_]{1,60}$", example = "tok_good")]
    pub card: String,
    /// What the merchant calls it: 1 to 128 characters.
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = "^[^\\x00]*$",
        example = "payment 7"
    )]
    pub reference: String,
}

/// `GET /charges/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Charge {
    /// The charge.
    #[schema(min_length = 1, example = "0197a1b2-0000-7000-8000-000000000003")]
    pub id: String,
    /// What the merchant called it.
    #[schema(example = "payment 7")]
    pub reference: String,
    /// Where it stands.
    pub status: ChargeStatus,
    /// How much.
    pub amount: Money,
}

/// The life of a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChargeStatus {
    /// Money taken.
    Captured,
    /// Refused.
    Declined,
    /// Given back.
    Refunded,
}

impl ChargeStatus {
    /// As stored and sent.
    pub fn name(self) -> &'static str {
        match self {
            Self::Captured => "captured",
            Self::Declined => "declined",
            Self::Refunded => "refunded",
        }
    }
}
