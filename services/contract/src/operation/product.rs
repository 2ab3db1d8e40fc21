//! The product service's operations.

use serde_json::{Value, json};

use super::schemas::{limit, text};
use super::{Answer, Auth, Method, Operation, Parameter, Refusal, schema};
use crate::product::{CATEGORIES, Product, ProductChange, ProductPage};
use crate::role::Role::Product as SERVICE;

const ID: Parameter = Parameter::path("id", "The product.", text);

/// Lists products, a page at a time.
pub const LIST: Operation = Operation {
    hedged: true,
    description: "What is left out means: all categories, the newest first, twenty, from the top.",
    parameters: &[
        Parameter::query("category", "Only what is of this category.", category),
        Parameter::query(
            "sort",
            "`new`: the newest first. `best`: the most often sold first.",
            sort,
        ),
        Parameter::query("limit", "How many at most.", limit),
        Parameter::query(
            "cursor",
            "`next` of the page before, of the same list. Not to be read or made up.",
            text,
        ),
    ],
    refusals: &[Refusal::new(
        422,
        "invalid",
        "There is no such category or order, or `cursor` is not of this list",
    )],
    ..Operation::new(
        SERVICE,
        Method::Get,
        "/products",
        "listProducts",
        "Lists products, a page at a time",
        &[Answer::json(200, "A page", schema::<ProductPage>)],
    )
};

/// Searches products. It is not hedged: it is the most expensive read of the shop, and a slow product service has too
/// many of them already.
pub const SEARCH: Operation = Operation {
    description: "Finds products whose words begin with every word asked for.",
    parameters: &[Parameter::query("q", "One to eight words.", words).required()],
    refusals: &[Refusal::new(
        422,
        "invalid",
        "There is no word to look for, or there are too many",
    )],
    ..Operation::new(
        SERVICE,
        Method::Get,
        "/products/search",
        "searchProducts",
        "Finds products by their words",
        &[Answer::json(200, "What was found", schema::<ProductPage>)],
    )
};

/// Shows a product.
pub const ONE: Operation = Operation {
    hedged: true,
    description: "With the stock of this moment, or, where inventory does not say at once, with what was last heard of it.",
    parameters: &[
        ID,
        Parameter::query(
            "stock",
            "`live`: inventory is asked. `view`: what was last heard will do.",
            stock,
        ),
    ],
    ..Operation::new(
        SERVICE,
        Method::Get,
        "/products/{id}",
        "getProduct",
        "Shows a product",
        &[Answer::json(200, "The product", schema::<Product>)],
    )
};

/// Changes a product.
pub const CHANGE: Operation = Operation {
    description: "What the change does not name stays.",
    auth: Auth::Admin,
    parameters: &[ID],
    body: Some(schema::<ProductChange>),
    refusals: &[Refusal::new(
        422,
        "invalid",
        "A title or a price that cannot be",
    )],
    ..Operation::new(
        SERVICE,
        Method::Put,
        "/products/{id}",
        "changeProduct",
        "Changes title or price of a product",
        &[Answer::json(
            200,
            "The product as it is now",
            schema::<Product>,
        )],
    )
};

/// Receives an event.
pub const EVENT: Operation = Operation::event(SERVICE);

fn category() -> Value {
    json!({"type": "string", "enum": CATEGORIES, "example": "toys"})
}

fn sort() -> Value {
    json!({"type": "string", "enum": ["new", "best"], "default": "new"})
}

fn stock() -> Value {
    json!({"type": "string", "enum": ["live", "view"], "default": "live"})
}

fn words() -> Value {
    json!({"type": "string", "minLength": 1, "example": "steel kettle"})
}
