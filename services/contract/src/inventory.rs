//! Stock and reservations.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /stock/{product_id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stock {
    /// The product.
    #[schema(example = "p-00001")]
    pub product_id: String,
    /// How many can be reserved.
    #[schema(minimum = 0, example = 100)]
    pub available: i64,
}

/// `POST /reservations` (services only): all of it or nothing. 201 with a [`Reservation`], 200 when it stood
/// already; 409 `out-of-stock`; 409 `reservation-released` for an id that was released before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewReservation {
    /// Chosen by the caller: the order's id. The same id is the same reservation, however often it is asked for.
    #[schema(
        pattern = "^[^\\x00]*$",
        example = "0197a1b2-0000-7000-8000-000000000001"
    )]
    pub id: String,
    /// What to hold.
    #[schema(min_items = 1, max_items = 100)]
    pub items: Vec<Quantity>,
}

/// So many of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Quantity {
    /// The product.
    #[schema(pattern = "^[^\\x00]*$", example = "p-00001")]
    pub product_id: String,
    /// How many, from 1.
    #[schema(minimum = 1, maximum = 10000, example = 2)]
    pub quantity: u32,
}

/// Stock held for an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reservation {
    /// The order's id.
    #[schema(min_length = 1, example = "0197a1b2-0000-7000-8000-000000000001")]
    pub id: String,
    /// Where it stands.
    pub status: ReservationStatus,
}

/// A reservation is held, then either committed (the goods leave) or released (they go back).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReservationStatus {
    /// Held for its order.
    Held,
    /// Gone with its order.
    Committed,
    /// Back on the shelf.
    Released,
}

impl ReservationStatus {
    /// As stored and sent.
    pub fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Committed => "committed",
            Self::Released => "released",
        }
    }
}
