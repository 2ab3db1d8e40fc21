//! Whole numbers in JSON, with or without a decimal point: some writers send `2.0` for `2`.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Number;

/// The largest range in which every whole number has its own floating-point number.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A number from 0 up to `u32::MAX`.
pub(crate) fn small<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let number = Number::deserialize(from)?;
    let whole = read(&number).and_then(|n| u32::try_from(n).ok());
    whole.ok_or_else(|| unfit(&number))
}

/// Any whole number.
pub(crate) fn any<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    let number = Number::deserialize(from)?;
    read(&number).ok_or_else(|| unfit(&number))
}

/// Any whole number, or none.
pub(crate) fn maybe<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    let Some(number) = Option::<Number>::deserialize(from)? else {
        return Ok(None);
    };
    read(&number).map(Some).ok_or_else(|| unfit(&number))
}

fn read(number: &Number) -> Option<i64> {
    let whole = |f: &f64| f.fract() == 0.0 && f.abs() <= EXACT;
    let pointed = || number.as_f64().filter(whole).map(|f| f as i64);
    number.as_i64().or_else(pointed)
}

fn unfit<E: Error>(number: &Number) -> E {
    E::custom(format_args!(
        "{number} is no whole number of the right size"
    ))
}

#[cfg(test)]
mod tests {
    use crate::cart::SetQuantity;
    use crate::product::ProductChange;

    #[test]
    fn a_whole_number_may_have_a_point() {
        let quantity = |text: &str| {
            let body = format!(r#"{{"quantity": {text}}}"#);
            serde_json::from_str::<SetQuantity>(&body).map(|s| s.quantity)
        };
        assert_eq!(quantity("2").unwrap(), 2);
        assert_eq!(quantity("2.0").unwrap(), 2);
        for text in ["2.5", "-1", "1e400", "4294967296", "\"2\"", "null", "true"] {
            assert!(quantity(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_optional_number_may_be_null() {
        let price = |text: &str| serde_json::from_str::<ProductChange>(text).map(|c| c.price_minor);
        assert_eq!(price("{}").unwrap(), None);
        assert_eq!(price(r#"{"price_minor": null}"#).unwrap(), None);
        assert_eq!(price(r#"{"price_minor": 5.0}"#).unwrap(), Some(5));
        assert!(price(r#"{"price_minor": 5.5}"#).is_err());
    }
}
