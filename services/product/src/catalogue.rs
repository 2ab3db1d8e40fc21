//! The rules of products, pure.

use shop_contract::Money;
use shop_contract::product::{Product, ProductChange};

/// The longest title, in characters.
const MAX_TITLE: usize = 200;
/// The highest price: ten million, in minor units. More is most likely a mistake.
const MAX_PRICE_MINOR: i64 = 1_000_000_000;

/// Why a change is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// No title, or one that is too long.
    #[error("`title` must have 1 to {MAX_TITLE} characters")]
    Title,
    /// A price out of range.
    #[error("`price_minor` must be 1 to {MAX_PRICE_MINOR}")]
    Price,
}

/// Checks a change and trims its title.
///
/// # Errors
/// The first mistake.
pub fn check(change: ProductChange) -> Result<ProductChange, Invalid> {
    // The length as sent, which is what the document bounds.
    let long = |t: &String| t.chars().count() > MAX_TITLE;
    if change.title.as_ref().is_some_and(long) {
        return Err(Invalid::Title);
    }
    let title = change.title.map(|t| t.trim().to_owned());
    if title.as_ref().is_some_and(String::is_empty) {
        return Err(Invalid::Title);
    }
    let bad = |p: i64| !(1..=MAX_PRICE_MINOR).contains(&p);
    if change.price_minor.is_some_and(bad) {
        return Err(Invalid::Price);
    }
    Ok(ProductChange { title, ..change })
}

/// The product after a change. Fields that the change leaves out stay.
pub fn changed(product: &Product, change: &ProductChange) -> Product {
    let mut product = product.clone();
    if let Some(title) = &change.title {
        product.title.clone_from(title);
    }
    if let Some(minor) = change.price_minor {
        product.price = Money::of(minor);
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(title: Option<&str>, price_minor: Option<i64>) -> ProductChange {
        ProductChange {
            title: title.map(str::to_owned),
            price_minor,
        }
    }

    #[test]
    fn titles_and_prices_have_bounds() {
        assert_eq!(check(change(Some(" "), None)).err(), Some(Invalid::Title));
        let endless = "x".repeat(MAX_TITLE + 1);
        assert_eq!(
            check(change(Some(&endless), None)).err(),
            Some(Invalid::Title)
        );
        for price in [i64::MIN, 0, MAX_PRICE_MINOR + 1] {
            assert_eq!(check(change(None, Some(price))).err(), Some(Invalid::Price));
        }
        assert!(check(change(None, Some(1))).is_ok());
    }

    #[test]
    fn fields_that_a_change_leaves_out_stay() {
        let before = crate::seed::product(7, 1);
        let titled = changed(&before, &check(change(Some(" Kettle "), None)).unwrap());
        assert_eq!(titled.title, "Kettle");
        assert_eq!(titled.price, before.price);
        let priced = changed(&before, &change(None, Some(1)));
        assert_eq!(priced.title, before.title);
        assert_eq!(priced.price, Money::of(1));
    }
}
