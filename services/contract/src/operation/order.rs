//! The order service's operations.

use std::time::Duration;

use super::schemas::{limit, text};
use super::{Answer, Auth, Method, Operation, Parameter, Priority, Refusal, schema};
use crate::order::{Checkout, Order, OrderList};
use crate::role::Role::Order as SERVICE;

/// Buys the contents of the cart.
pub const CHECKOUT: Operation = Operation {
    priority: Priority::Buying,
    // It waits for the bank; and if a replica dies, for another one to take up the order.
    per_try: Duration::from_secs(4),
    description: "Buys what is in the caller's cart, at the prices in it. Under the same key it can be asked any number \
        of times and happens once; a later request learns how far the order is.",
    auth: Auth::Token,
    keyed: true,
    calls: true,
    body: Some(schema::<Checkout>),
    refusals: &[
        Refusal::new(
            402,
            "card-declined",
            "The bank declined the card; the stock goes back",
        ),
        Refusal::new(
            409,
            "out-of-stock",
            "There is not enough in stock; nothing was charged",
        ),
        Refusal::new(
            409,
            "cancelled",
            "The order was cancelled for another reason; what was charged goes back",
        ),
        Refusal::new(422, "empty-cart", "There is nothing in the cart"),
        Refusal::new(422, "key-reused", "The key stood for something else before"),
        Refusal::new(422, "invalid", "`card` is no token of the bank"),
    ],
    ..Operation::new(
        SERVICE,
        Method::Post,
        "/orders",
        "checkout",
        "Buys what is in the cart",
        &[
            Answer::json(
                201,
                "Confirmed, a promise: the stock has left, the card is charged",
                schema::<Order>,
            ),
            Answer::json(
                202,
                "Accepted and not at its end; ask `GET /orders/{id}`, or again under the same key",
                schema::<Order>,
            ),
        ],
    )
};

/// Lists a shopper's orders.
pub const LIST: Operation = Operation {
    priority: Priority::Buying,
    hedged: true,
    auth: Auth::Token,
    parameters: &[Parameter::query("limit", "How many at most.", limit)],
    ..Operation::new(
        SERVICE,
        Method::Get,
        "/orders",
        "listOrders",
        "Lists the caller's orders, the newest first",
        &[Answer::json(200, "The orders", schema::<OrderList>)],
    )
};

/// Shows an order.
pub const SHOW: Operation = Operation {
    priority: Priority::Buying,
    hedged: true,
    auth: Auth::Token,
    parameters: &[Parameter::path("id", "The order, the caller's own.", text).order_id()],
    ..Operation::new(
        SERVICE,
        Method::Get,
        "/orders/{id}",
        "getOrder",
        "Shows an order to its buyer",
        &[Answer::json(200, "The order", schema::<Order>)],
    )
};
