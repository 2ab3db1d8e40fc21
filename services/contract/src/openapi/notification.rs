//! The notification service's operations.

use super::operation::{Answer, Auth, Method, Operation, Refusal, schema};
use crate::Role::Notification as SERVICE;
use crate::notification::{NewNotification, NotificationList};

/// A shopper's messages.
pub const LIST: Operation = Operation {
    auth: Auth::Token,
    ..Operation::new(
        SERVICE,
        Method::Get,
        "/notifications",
        "listNotifications",
        "Lists the caller's messages, the newest first",
        &[Answer::json(
            200,
            "At most a hundred",
            schema::<NotificationList>,
        )],
    )
};

/// A service has a message sent.
pub const SEND: Operation = Operation {
    description: "The same key is the same message, however often it is sent.",
    auth: Auth::ServiceKey,
    body: Some(schema::<NewNotification>),
    refusals: &[Refusal::new(
        422,
        "invalid",
        "`key`, `user_id` or `subject` is empty",
    )],
    ..Operation::new(
        SERVICE,
        Method::Post,
        "/notifications/send",
        "sendNotification",
        "Sends a message to a customer",
        &[
            Answer::empty(201, "Sent now"),
            Answer::empty(200, "Sent before"),
        ],
    )
};

/// What others did.
pub const EVENT: Operation = super::event(SERVICE);
