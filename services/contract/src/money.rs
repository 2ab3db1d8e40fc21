//! Money: an integer of minor units with a currency.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::Ref;
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Schema, Type};

/// The one currency this shop trades in. The wire format has room for more, the catalogue has not.
pub const CURRENCY: &str = "EUR";

/// An amount of money. Never a float: cents must add up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Money {
    /// Minor units, such as cents.
    #[schema(example = 1999)]
    pub minor: i64,
    /// ISO 4217 code.
    #[schema(pattern = "^[A-Z]{3}$", example = "EUR")]
    pub currency: String,
}

impl Money {
    /// An amount in the shop's currency.
    pub fn of(minor: i64) -> Self {
        Self {
            minor,
            currency: CURRENCY.to_owned(),
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.minor < 0 { "-" } else { "" };
        let minor = self.minor.unsigned_abs();
        write!(
            f,
            "{sign}{}.{:02} {}",
            minor / 100,
            minor % 100,
            self.currency
        )
    }
}

/// The schema of an amount above zero.
pub(crate) fn positive_schema() -> Schema {
    let minor = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1));
    AllOfBuilder::new()
        .item(Ref::from_schema_name("Money"))
        .item(ObjectBuilder::new().property("minor", minor))
        .description(Some("How much, at least one minor unit"))
        .build()
        .into()
}

#[cfg(test)]
mod tests {
    use super::Money;

    #[test]
    fn amounts_are_shown_with_two_decimals_and_their_sign() {
        assert_eq!(Money::of(1999).to_string(), "19.99 EUR");
        assert_eq!(Money::of(-5).to_string(), "-0.05 EUR");
    }
}
