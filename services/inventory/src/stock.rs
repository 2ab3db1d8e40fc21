//! The rules of stock, pure: the quantities that may be set, and the changes that are published.

use shop_contract::events::StockLevel;
use shop_contract::inventory::Band;

/// The most pieces of one product in stock. More is most likely a mistake.
pub const MOST: i64 = 1_000_000;

/// Why a product cannot be restocked like that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`available` must be 0 to {MOST}")]
pub struct Invalid;

/// Checks a quantity.
///
/// # Errors
/// Below zero, or above [`MOST`].
pub fn check(available: i64) -> Result<i64, Invalid> {
    if (0..=MOST).contains(&available) {
        Ok(available)
    } else {
        Err(Invalid)
    }
}

/// The levels that one transaction publishes: those of products that changed their [`Band`].
#[derive(Debug, Default)]
pub struct BandChanges(Vec<StockLevel>);

impl BandChanges {
    /// Adds the change of a product from `before` available pieces to `level`.
    pub fn moved(&mut self, before: i64, level: StockLevel) {
        if Band::of(before) != Band::of(level.available) {
            self.0.push(level);
        }
    }

    /// The levels to publish; mostly none.
    pub fn levels(self) -> Vec<StockLevel> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes_band(before: i64, now: i64) -> bool {
        let level = StockLevel {
            product_id: "p-00001".to_owned(),
            available: now,
            version: 2,
        };
        let mut changes = BandChanges::default();
        changes.moved(before, level);
        !changes.levels().is_empty()
    }

    #[test]
    fn only_a_change_of_band_is_published() {
        for (before, now) in [(11, 10), (10, 11), (1, 0), (0, 1), (500, 0), (0, 500)] {
            assert!(changes_band(before, now), "{before} to {now}");
        }
        for (before, now) in [(500, 11), (10, 1), (0, 0), (11, 12)] {
            assert!(!changes_band(before, now), "{before} to {now}");
        }
    }

    #[test]
    fn stock_has_bounds() {
        assert_eq!(check(-1), Err(Invalid));
        assert_eq!(check(0), Ok(0));
        assert_eq!(check(MOST), Ok(MOST));
        assert_eq!(check(MOST + 1), Err(Invalid));
    }
}
