//! The notification service's operations.

use super::{Answer, Auth, Method, Operation, Priority, Refusal, schema};
use crate::notification::{NewNotification, NotificationList};
use crate::role::Role::Notification as SERVICE;

/// Lists a shopper's messages.
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

/// Sends a message for another service.
pub const SEND: Operation = Operation {
    priority: Priority::Critical,
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

/// Receives an event.
pub const EVENT: Operation = Operation::event(SERVICE);
