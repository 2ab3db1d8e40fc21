//! Carts: one per account.

use serde::{Deserialize, Serialize};

use crate::Money;

/// The most of one product that a cart holds.
pub const MAX_QUANTITY: u32 = 20;

/// `PUT /cart/items/{product_id}`: 200 with the [`Cart`]; 404 for an unknown product.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SetQuantity {
    /// 1 to [`MAX_QUANTITY`].
    pub quantity: u32,
}

/// `GET /cart`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cart {
    /// What is in it.
    pub items: Vec<CartItem>,
    /// What it costs.
    pub total: Money,
}

/// One line of a cart, with the price the shopper was shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CartItem {
    /// The product.
    pub product_id: String,
    /// Its title.
    pub title: String,
    /// How many.
    pub quantity: u32,
    /// What one costs.
    pub unit_price: Money,
}
