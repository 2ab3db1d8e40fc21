//! The inventory's operations.

use super::schemas::text;
use super::{Answer, Auth, Method, Operation, Parameter, Priority, Refusal, schema};
use crate::inventory::{NewReservation, Reservation, Restock, Stock};
use crate::role::Role::Inventory as SERVICE;

const ID: Parameter = Parameter::path("id", "The reservation: its order's id.", text).order_id();

/// Shows the stock of a product.
pub const STOCK: Operation = Operation {
    hedged: true,
    parameters: &[Parameter::path("product_id", "The product.", text)],
    ..Operation::new(
        SERVICE,
        Method::Get,
        "/stock/{product_id}",
        "getStock",
        "Says how many of a product can be had",
        &[Answer::json(200, "The stock", schema::<Stock>)],
    )
};

/// Sets the stock of a product.
pub const RESTOCK: Operation = Operation {
    description: "What is held for orders under way is not part of the figure.",
    auth: Auth::Admin,
    parameters: &[Parameter::path("product_id", "The product.", text)],
    body: Some(schema::<Restock>),
    refusals: &[Refusal::new(
        422,
        "invalid",
        "A figure below zero, or beyond what a shelf holds",
    )],
    ..Operation::new(
        SERVICE,
        Method::Put,
        "/stock/{product_id}",
        "setStock",
        "Says how many of a product can be had from now on",
        &[Answer::json(200, "The stock as it is now", schema::<Stock>)],
    )
};

/// Holds stock for an order.
pub const RESERVE: Operation = Operation {
    priority: Priority::Critical,
    repeatable: true,
    description: "All of it or nothing. The same id is the same reservation, however often it is asked for.",
    auth: Auth::ServiceKey,
    body: Some(schema::<NewReservation>),
    refusals: &[
        Refusal::new(
            409,
            "out-of-stock",
            "There is not enough of something; nothing is held",
        ),
        Refusal::new(
            409,
            "reservation-released",
            "That reservation was released before",
        ),
        Refusal::new(422, "invalid", "No lines, too many, or none of something"),
    ],
    ..Operation::new(
        SERVICE,
        Method::Post,
        "/reservations",
        "reserve",
        "Holds stock for an order",
        &[
            Answer::json(201, "Held now", schema::<Reservation>),
            Answer::json(200, "Held before", schema::<Reservation>),
        ],
    )
};

/// Commits a reservation: the goods leave.
pub const COMMIT: Operation = Operation {
    priority: Priority::Critical,
    repeatable: true,
    description: "Asked again, it answers the same and does nothing more.",
    auth: Auth::ServiceKey,
    parameters: &[ID],
    refusals: &[Refusal::new(
        409,
        "reservation-released",
        "It was released before",
    )],
    ..Operation::new(
        SERVICE,
        Method::Post,
        "/reservations/{id}/commit",
        "commitReservation",
        "Lets the goods of a reservation leave",
        &[Answer::json(200, "Committed", schema::<Reservation>)],
    )
};

/// Releases a reservation: the goods go back.
pub const RELEASE: Operation = Operation {
    priority: Priority::Critical,
    description: "A reservation that was never asked for is released as well: it shuts the door on one that comes late.",
    auth: Auth::ServiceKey,
    parameters: &[ID],
    refusals: &[Refusal::new(
        409,
        "reservation-committed",
        "The goods have left",
    )],
    ..Operation::new(
        SERVICE,
        Method::Delete,
        "/reservations/{id}",
        "releaseReservation",
        "Puts the goods of a reservation back",
        &[Answer::json(200, "Released", schema::<Reservation>)],
    )
};
