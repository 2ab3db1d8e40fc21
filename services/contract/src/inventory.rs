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

/// `PUT /stock/{product_id}` (role admin): how many can be reserved from now on. 200 with a [`Stock`].
///
/// It sets and does not add, so asking twice does no harm. What is held or gone stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Restock {
    /// Pieces, from 0 to a million.
    #[serde(deserialize_with = "crate::whole::any")]
    #[schema(minimum = 0, maximum = 1_000_000, example = 100)]
    pub available: i64,
}

/// How much there is, as a shopper wants to know it. Lists show it, and inventory tells others of its stock only
/// when this changes: an event for every piece that is sold would make each checkout pay for what few look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Band {
    /// More than [`FEW`].
    InStock,
    /// 1 to [`FEW`].
    FewLeft,
    /// None.
    SoldOut,
}

/// The most pieces of [`Band::FewLeft`].
pub const FEW: i64 = 10;

impl Band {
    /// The band of this many pieces.
    pub const fn of(available: i64) -> Self {
        match available {
            ..=0 => Self::SoldOut,
            1..=FEW => Self::FewLeft,
            _ => Self::InStock,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bands_change_at_one_piece_and_above_few() {
        let bands = [-1, 0, 1, FEW, FEW + 1, i64::MAX].map(Band::of);
        use Band::{FewLeft, InStock, SoldOut};
        assert_eq!(
            bands,
            [SoldOut, SoldOut, FewLeft, FewLeft, InStock, InStock]
        );
    }
}
