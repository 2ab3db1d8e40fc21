//! The user service's operations.

use super::schemas::text;
use super::{Answer, Auth, Method, Operation, Parameter, Priority, Refusal, schema};
use crate::role::Role::User as SERVICE;
use crate::user::{KeySet, Login, NewUser, Session, User};

/// Opens an account.
pub const REGISTER: Operation = Operation {
    priority: Priority::Buying,
    description: "The account is a customer's. One that was registered twice at the same time is there once.",
    body: Some(schema::<NewUser>),
    refusals: &[
        Refusal::new(409, "email-taken", "That address has an account"),
        Refusal::new(
            422,
            "invalid",
            "An address, a name or a password that cannot be",
        ),
    ],
    ..Operation::new(
        SERVICE,
        Method::Post,
        "/users",
        "register",
        "Opens an account",
        &[Answer::json(201, "The account", schema::<User>)],
    )
};

/// Opens a session.
pub const LOGIN: Operation = Operation {
    priority: Priority::Buying,
    // A log-in changes nothing.
    repeatable: true,
    description: "Whether there is an account of that address, the answer does not tell, nor the time it takes.",
    body: Some(schema::<Login>),
    refusals: &[Refusal::new(
        401,
        "wrong-credentials",
        "No account has that address and password",
    )],
    ..Operation::new(
        SERVICE,
        Method::Post,
        "/users/login",
        "logIn",
        "Gives a token for an address and its password",
        &[Answer::json(200, "A token", schema::<Session>)],
    )
};

/// Shows an account to its owner.
pub const ACCOUNT: Operation = Operation {
    priority: Priority::Buying,
    auth: Auth::Token,
    parameters: &[Parameter::path(
        "id",
        "The account, the caller's own.",
        text,
    )],
    ..Operation::new(
        SERVICE,
        Method::Get,
        "/users/{id}",
        "getAccount",
        "Shows an account to its owner",
        &[Answer::json(200, "The account", schema::<User>)],
    )
};

/// Publishes the keys to check tokens with.
pub const KEYS: Operation = Operation {
    // Without the keys no token can be checked.
    priority: Priority::Critical,
    ..Operation::new(
        SERVICE,
        Method::Get,
        "/.well-known/jwks.json",
        "getKeys",
        "Gives the keys to check tokens with",
        &[Answer::json(
            200,
            "The public keys (RFC 7517)",
            schema::<KeySet>,
        )],
    )
};
