//! The rules of reservations, pure.

use std::collections::BTreeMap;

use shop_contract::inventory::{Quantity, ReservationStatus};

/// The most lines that one reservation has.
pub const MAX_LINES: usize = 100;
/// The most pieces of one product that one reservation holds.
pub const MAX_PIECES: u32 = 10_000;

/// Why a reservation is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is not enough stock.
    #[error("there is not enough of {0}")]
    OutOfStock(String),
    /// It was released before.
    #[error("this reservation was released")]
    Released,
    /// It was committed before; the goods have left.
    #[error("this reservation was committed")]
    Committed,
    /// There is no such reservation.
    #[error("there is no such reservation")]
    Unknown,
    /// An invalid request.
    #[error("{0}")]
    Invalid(String),
}

/// The pieces to hold per product, in the order of product ids: locking rows in one order prevents deadlocks.
///
/// # Errors
/// [`Refusal::Invalid`] for no lines, too many, or a quantity of zero.
pub fn pieces(items: &[Quantity]) -> Result<BTreeMap<&str, u32>, Refusal> {
    if items.is_empty() || items.len() > MAX_LINES {
        return Err(Refusal::Invalid(format!(
            "a reservation has 1 to {MAX_LINES} lines, not {}",
            items.len()
        )));
    }
    let mut pieces = BTreeMap::new();
    for item in items {
        let sum: &mut u32 = pieces.entry(item.product_id.as_str()).or_default();
        *sum = sum.saturating_add(item.quantity);
        if item.quantity == 0 || *sum > MAX_PIECES {
            return Err(Refusal::Invalid(format!(
                "1 to {MAX_PIECES} pieces of {} can be held",
                item.product_id
            )));
        }
    }
    Ok(pieces)
}

/// Whether a reservation in the state `found` (`None`: it does not exist) has to move to `wanted`.
///
/// `Ok(true)`: move it. `Ok(false)`: it is in that state already.
///
/// # Errors
/// The move is not possible.
pub fn moves(found: Option<ReservationStatus>, wanted: ReservationStatus) -> Result<bool, Refusal> {
    use ReservationStatus::{Committed, Held, Released};
    match (found, wanted) {
        (None, Held | Released) | (Some(Held), Committed | Released) => Ok(true),
        (Some(a), b) if a == b => Ok(false),
        // A repeated request after a later step: it was held, and that is what the caller needs to know.
        (Some(Committed), Held) => Ok(false),
        (Some(Committed), _) => Err(Refusal::Committed),
        (Some(Released), _) => Err(Refusal::Released),
        (None, Committed) => Err(Refusal::Unknown),
        (Some(Held), Held) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ReservationStatus::{Committed, Held, Released};

    #[test]
    fn stock_moves_forward_once_and_never_back() {
        assert_eq!(moves(None, Held), Ok(true));
        assert_eq!(moves(Some(Held), Held), Ok(false));
        assert_eq!(moves(Some(Held), Committed), Ok(true));
        assert_eq!(moves(Some(Committed), Committed), Ok(false));
        assert_eq!(moves(Some(Held), Released), Ok(true));
        assert_eq!(moves(Some(Released), Released), Ok(false));
        assert_eq!(moves(Some(Committed), Released), Err(Refusal::Committed));
        assert_eq!(moves(Some(Released), Committed), Err(Refusal::Released));
        assert_eq!(moves(Some(Released), Held), Err(Refusal::Released));
        assert_eq!(moves(None, Committed), Err(Refusal::Unknown));
        assert_eq!(
            moves(None, Released),
            Ok(true),
            "shuts the door on a late request"
        );
    }

    #[test]
    fn lines_of_the_same_product_are_added_up() {
        let q = |id: &str, quantity| Quantity {
            product_id: id.to_owned(),
            quantity,
        };
        let items = [q("b", 1), q("a", 2), q("b", 3)];
        let sums: Vec<_> = pieces(&items).unwrap().into_iter().collect();
        assert_eq!(sums, [("a", 2), ("b", 4)]);
        assert!(pieces(&[]).is_err());
        assert!(pieces(&[q("a", 0)]).is_err());
        assert!(pieces(&[q("a", MAX_PIECES), q("a", 1)]).is_err());
    }
}
