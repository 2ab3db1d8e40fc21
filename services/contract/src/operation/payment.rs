//! The payment service's operations.

use std::time::Duration;

use super::schemas::text;
use super::{Answer, Auth, Method, Operation, Parameter, Priority, Refusal, schema};
use crate::payment::{NewPayment, Payment};
use crate::role::Role::Payment as SERVICE;

const ID: Parameter = Parameter::path("id", "The payment.", text);
const BANK_UNAVAILABLE: Refusal = Refusal::new(
    503,
    "bank-unavailable",
    "What the bank did is not known; ask again under the same key",
);

/// Charges a card for an order.
pub const PAY: Operation = Operation {
    priority: Priority::Critical,
    // It waits for the bank.
    per_try: Duration::from_secs(4),
    description: "Under the same key it is charged once, however often it is asked for.",
    auth: Auth::ServiceKey,
    keyed: true,
    body: Some(schema::<NewPayment>),
    refusals: &[
        Refusal::new(
            402,
            "card-declined",
            "The bank declined the card; nothing was taken",
        ),
        Refusal::new(422, "invalid", "An amount or a card that cannot be"),
        Refusal::new(422, "key-reused", "The key stood for something else before"),
        BANK_UNAVAILABLE,
    ],
    ..Operation::new(
        SERVICE,
        Method::Post,
        "/payments",
        "pay",
        "Charges a card for an order",
        &[Answer::json(201, "Captured", schema::<Payment>)],
    )
};

/// Refunds a payment.
pub const REFUND: Operation = Operation {
    priority: Priority::Critical,
    per_try: Duration::from_secs(4),
    repeatable: true,
    description: "Asked again, it answers the same and gives nothing more.",
    auth: Auth::ServiceKey,
    parameters: &[ID],
    refusals: &[
        Refusal::new(409, "not-captured", "Nothing was taken"),
        BANK_UNAVAILABLE,
    ],
    ..Operation::new(
        SERVICE,
        Method::Post,
        "/payments/{id}/refund",
        "refundPayment",
        "Gives the money of a payment back",
        &[Answer::json(200, "Refunded", schema::<Payment>)],
    )
};

/// Shows a payment.
pub const SHOW: Operation = Operation {
    auth: Auth::Token,
    parameters: &[ID],
    ..Operation::new(
        SERVICE,
        Method::Get,
        "/payments/{id}",
        "getPayment",
        "Shows a payment to whoever paid",
        &[Answer::json(200, "The payment", schema::<Payment>)],
    )
};
