//! The roles that one binary can play.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A service of the shop, or the bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The public entrance: routing, tokens, rate limits, new traces.
    Gateway,
    /// Accounts and tokens.
    User,
    /// The catalogue.
    Product,
    /// Stock and reservations.
    Inventory,
    /// Carts.
    Cart,
    /// Orders and their saga.
    Order,
    /// Payments.
    Payment,
    /// Messages to customers.
    Notification,
    /// The bank, an outside party: slow, declines.
    Bank,
}

impl Role {
    /// Every role, callees before callers.
    pub const ALL: [Role; 9] = [
        Role::User,
        Role::Product,
        Role::Inventory,
        Role::Bank,
        Role::Payment,
        Role::Cart,
        Role::Notification,
        Role::Order,
        Role::Gateway,
    ];

    /// Its name: in the command line, in scenarios, as `service.name`.
    pub fn name(self) -> &'static str {
        match self {
            Role::Gateway => "gateway",
            Role::User => "user",
            Role::Product => "product",
            Role::Inventory => "inventory",
            Role::Cart => "cart",
            Role::Order => "order",
            Role::Payment => "payment",
            Role::Notification => "notification",
            Role::Bank => "bank",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name of no role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownRole(pub String);

impl fmt::Display for UnknownRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Role::ALL.iter().map(|r| r.name()).collect();
        write!(f, "no role `{}`; roles are: {}", self.0, names.join(", "))
    }
}

impl std::error::Error for UnknownRole {}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Role::ALL
            .into_iter()
            .find(|r| r.name() == s)
            .ok_or_else(|| UnknownRole(s.to_owned()))
    }
}
