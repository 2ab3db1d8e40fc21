//! The bank's operations. It asks nobody who they are.

use super::operation::{Answer, Method, Operation, Parameter, Refusal, schema};
use super::text;
use crate::Role::Bank as SERVICE;
use crate::bank::{Charge, NewCharge};

const ID: Parameter = Parameter::path("id", "The charge.", text);

/// A merchant charges a card.
pub const CHARGE: Operation = Operation {
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

/// One charge.
pub const ONE: Operation = Operation {
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

/// A merchant gives money back.
pub const REFUND: Operation = Operation {
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
