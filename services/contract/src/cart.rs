//! Carts: one per account.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::money::Money;

/// The most of one product that a cart holds.
pub const MAX_QUANTITY: u32 = 20;

/// `PUT /cart/items/{product_id}`: 200 with the [`Cart`]; 404 for an unknown product.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SetQuantity {
    /// 1 to [`MAX_QUANTITY`].
    #[serde(deserialize_with = "crate::whole::small")]
    #[schema(minimum = 1, maximum = 20, example = 2)]
    pub quantity: u32,
}

/// `GET /cart`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cart {
    /// What is in it.
    #[schema(max_items = 50)]
    pub items: Vec<CartItem>,
    /// What it costs.
    pub total: Money,
}

/// One line of a cart, with the price the shopper was shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CartItem {
    /// The product.
    #[schema(example = "p-00001")]
    pub product_id: String,
    /// Its title.
    #[schema(example = "Steel Kettle")]
    pub title: String,
    /// How many.
    #[schema(minimum = 1, maximum = 20, example = 2)]
    pub quantity: u32,
    /// What one costs.
    pub unit_price: Money,
}
