//! Stock and reservations.

use serde::{Deserialize, Serialize};

/// `GET /stock/{product_id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// The product.
    pub product_id: String,
    /// How many can be reserved.
    pub available: i64,
}

/// `POST /reservations` (services only): all of it or nothing. 201 with a [`Reservation`], 200 when it stood
/// already; 409 `out-of-stock`; 409 `reservation-released` for an id that was released before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewReservation {
    /// Chosen by the caller: the order's id. The same id is the same reservation, however often it is asked for.
    pub id: String,
    /// What to hold.
    pub items: Vec<Quantity>,
}

/// So many of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantity {
    /// The product.
    pub product_id: String,
    /// How many, from 1.
    pub quantity: u32,
}

/// Stock held for an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The order's id.
    pub id: String,
    /// Where it stands.
    pub status: ReservationStatus,
}

/// A reservation is held, then either committed (the goods leave) or released (they go back).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
