//! The catalogue.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::Object;

use crate::enumeration::one_of;
use crate::inventory::Band;
use crate::money::Money;

/// The departments of the shop. Every product is in exactly one.
pub const CATEGORIES: [&str; 12] = [
    "audio", "baby", "bikes", "books", "camping", "cameras", "games", "garden", "kitchen",
    "phones", "shoes", "toys",
];

/// A product, as lists and pages show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Product {
    /// The product.
    #[schema(min_length = 1, example = "p-00001")]
    pub id: String,
    /// What it is called.
    #[schema(example = "Steel Kettle")]
    pub title: String,
    /// What it is.
    #[schema(example = "A kettle of steel.")]
    pub description: String,
    /// One of [`CATEGORIES`].
    #[schema(schema_with = category_schema)]
    pub category: String,
    /// What one costs.
    pub price: Money,
    /// How many were sold; what `sort=best` sorts by.
    #[schema(minimum = 0, example = 12)]
    pub sold: i64,
    /// When it came into the catalogue, milliseconds since 1970; what `sort=new` sorts by.
    #[schema(example = 1790000000000_i64)]
    pub added_at_ms: i64,
    /// Whether it can be had. Absent when nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub availability: Option<Availability>,
}

/// Whether a product can be had: how much there is, who says so, and when it was so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Availability {
    /// How much there is.
    pub band: Band,
    /// How many can be reserved. Absent in the view, which hears of bands and not of every piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0, example = 100)]
    pub pieces: Option<i64>,
    /// Who says so.
    pub source: Source,
    /// When inventory said so, milliseconds since 1970.
    #[schema(example = 1790000000000_i64)]
    pub as_of_ms: i64,
}

/// Who says how much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Inventory, asked for this answer.
    Live,
    /// What product has kept of inventory's events: right but for the events under way.
    View,
}

/// `GET /products` and `GET /products/search`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProductPage {
    /// The products of this page.
    #[schema(max_items = 100)]
    pub items: Vec<Product>,
    /// To be passed as `cursor` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "bmV3OjE3OTAwMDAwMDAwMDA6cC0wMDAwMQ")]
    pub next: Option<String>,
}

/// `PUT /products/{id}` (role admin): what is to change.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ProductChange {
    /// A new title: 1 to 200 characters.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = "^[^\\x00]*[^\\s\\x00][^\\x00]*$",
        example = "Steel Kettle"
    )]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// A new price in minor units, from 1.
    #[serde(
        default,
        deserialize_with = "crate::whole::maybe",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(minimum = 1, maximum = 1000000000, example = 1999)]
    pub price_minor: Option<i64>,
}

/// The ids of a seeded catalogue: `p-00001` for the first product. Catalogue and stock are seeded separately; these ids
/// are all that they share.
pub fn seeded_id(n: u64) -> String {
    format!("p-{n:05}")
}

/// The schema of a category: one of [`CATEGORIES`].
fn category_schema() -> Object {
    one_of(CATEGORIES)
        .description(Some("The department"))
        .build()
}
