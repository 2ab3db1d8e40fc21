//! The cart service's operations.

use serde_json::{Value, json};

use super::{Answer, Auth, Method, Operation, Parameter, Priority, Refusal, schema};
use crate::cart::{Cart, SetQuantity};
use crate::role::Role::Cart as SERVICE;

const PRODUCT: Parameter = Parameter::path("product_id", "The product.", product_id);

/// Shows the shopper's cart.
pub const ONE: Operation = Operation {
    priority: Priority::Buying,
    hedged: true,
    auth: Auth::Token,
    ..Operation::new(
        SERVICE,
        Method::Get,
        "/cart",
        "getCart",
        "Shows the caller's cart",
        &[Answer::json(
            200,
            "The cart; an empty one where there is none",
            schema::<Cart>,
        )],
    )
};

/// Sets a line of the cart.
pub const SET: Operation = Operation {
    priority: Priority::Buying,
    description: "Replaces the line of that product. It keeps title and price as they are now: that is what will be charged.",
    auth: Auth::Token,
    calls: true,
    parameters: &[PRODUCT],
    body: Some(schema::<SetQuantity>),
    refusals: &[Refusal::new(
        422,
        "invalid",
        "None or too many of something, or more than 50 lines",
    )],
    ..Operation::new(
        SERVICE,
        Method::Put,
        "/cart/items/{product_id}",
        "setCartItem",
        "Puts so many of a product into the cart",
        &[Answer::json(200, "The cart as it is now", schema::<Cart>)],
    )
};

/// Removes a line of the cart.
pub const REMOVE: Operation = Operation {
    priority: Priority::Buying,
    description: "A line that is not there is no error.",
    auth: Auth::Token,
    parameters: &[PRODUCT],
    ..Operation::new(
        SERVICE,
        Method::Delete,
        "/cart/items/{product_id}",
        "removeCartItem",
        "Takes a product out of the cart",
        &[Answer::json(200, "The cart as it is now", schema::<Cart>)],
    )
};

/// Receives an event.
pub const EVENT: Operation = Operation::event(SERVICE);

fn product_id() -> Value {
    json!({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$", "example": "p-00001"})
}
