//! The rules of carts, pure.

use shop_contract::Money;
use shop_contract::cart::{Cart, CartItem, MAX_QUANTITY};

/// The most lines of a cart.
pub const MAX_LINES: usize = 50;

/// Why a cart cannot be changed like that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A quantity of zero, or too large.
    #[error("`quantity` must be 1 to {MAX_QUANTITY}; to take a product out, delete its line")]
    Quantity,
    /// Too many lines.
    #[error("a cart has at most {MAX_LINES} lines")]
    Full,
}

/// Checks a quantity.
///
/// # Errors
/// [`Refusal::Quantity`].
pub fn check(quantity: u32) -> Result<(), Refusal> {
    if (1..=MAX_QUANTITY).contains(&quantity) {
        Ok(())
    } else {
        Err(Refusal::Quantity)
    }
}

/// Whether a text can be a product's id. It becomes part of a path, so it must not lead elsewhere.
pub fn is_product_id(id: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=64).contains(&id.len()) && id.bytes().all(plain)
}

/// The cart with these lines.
///
/// # Errors
/// [`Refusal::Full`].
pub fn of(items: Vec<CartItem>) -> Result<Cart, Refusal> {
    if items.len() > MAX_LINES {
        return Err(Refusal::Full);
    }
    let minor = items.iter().fold(0, |sum: i64, item| {
        sum.saturating_add(item.unit_price.minor.saturating_mul(item.quantity.into()))
    });
    Ok(Cart {
        items,
        total: Money::of(minor),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(quantity: u32, minor: i64) -> CartItem {
        CartItem {
            product_id: "p-00001".to_owned(),
            title: "Kettle".to_owned(),
            quantity,
            unit_price: Money::of(minor),
        }
    }

    #[test]
    fn a_cart_costs_what_its_lines_cost() {
        assert_eq!(of(Vec::new()).unwrap().total, Money::of(0));
        let cart = of(vec![item(2, 1999), item(1, 500)]).unwrap();
        assert_eq!(cart.total, Money::of(4498));
    }

    #[test]
    fn quantities_and_lines_have_bounds() {
        assert_eq!(check(0), Err(Refusal::Quantity));
        assert_eq!(check(1), Ok(()));
        assert_eq!(check(MAX_QUANTITY), Ok(()));
        assert_eq!(check(MAX_QUANTITY + 1), Err(Refusal::Quantity));
        assert!(of(vec![item(1, 1); MAX_LINES]).is_ok());
        assert_eq!(of(vec![item(1, 1); MAX_LINES + 1]), Err(Refusal::Full));
    }

    #[test]
    fn only_plain_texts_are_product_ids() {
        assert!(is_product_id("p-00001"));
        for id in ["", "../users", "p?q=1", "p/1", "p 1", "ü", &"p".repeat(65)] {
            assert!(!is_product_id(id), "{id:?}");
        }
    }
}
