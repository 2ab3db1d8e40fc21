//! The bank's operations. They need no authentication.

use std::time::Duration;

use super::schemas::text;
use super::{Answer, Method, Operation, Parameter, Priority, Refusal, schema};
use crate::bank::{Charge, NewCharge};
use crate::role::Role::Bank as SERVICE;

const ID: Parameter = Parameter::path("id", "The charge.", text);

/// Charges a card.
pub const CHARGE: Operation = Operation {
    priority: Priority::Critical,
    // The bank is slow by nature. Giving up early would only turn slow answers into unknown ones.
    per_try: Duration::from_secs(3),
    description: "The bank does its work before it says so: whoever hangs up has been charged all the same, and asks \
        again under the same key.",
    keyed: true,
    body: Some(schema::<NewCharge>),
    refusals: &[
        Refusal::new(402, "card-declined", "Nothing was taken"),
        Refusal::new(
            422,
            "invalid",
            "An amount, a currency, a card or a reference that cannot be",
        ),
        Refusal::new(422, "key-reused", "The key stood for another charge before"),
    ],
    ..Operation::new(
        SERVICE,
        Method::Post,
        "/charges",
        "charge",
        "Charges a card",
        &[
            Answer::json(201, "Captured now", schema::<Charge>),
            Answer::json(200, "Captured before", schema::<Charge>),
        ],
    )
};

/// Shows a charge.
pub const ONE: Operation = Operation {
    priority: Priority::Critical,
    parameters: &[ID],
    ..Operation::new(
        SERVICE,
        Method::Get,
        "/charges/{id}",
        "getCharge",
        "Shows a charge",
        &[Answer::json(200, "The charge", schema::<Charge>)],
    )
};

/// Refunds a charge.
pub const REFUND: Operation = Operation {
    priority: Priority::Critical,
    per_try: Duration::from_secs(3),
    repeatable: true,
    description: "Asked again, it answers the same and gives nothing more.",
    parameters: &[ID],
    refusals: &[Refusal::new(409, "nothing-to-refund", "Nothing was taken")],
    ..Operation::new(
        SERVICE,
        Method::Post,
        "/charges/{id}/refund",
        "refundCharge",
        "Gives the money of a charge back",
        &[Answer::json(200, "Refunded", schema::<Charge>)],
    )
};
