//! What belongs to one request and goes on to the calls made for it.

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::request::Parts;
use shop_resilience::{Deadline, Priority};
use std::convert::Infallible;

/// Deadline, priority and token of the request being served.
#[derive(Debug, Clone)]
pub struct Context {
    /// When the answer is of no more use. `None` where deadlines are switched off.
    pub deadline: Option<Deadline>,
    /// Who goes first when there is too much work.
    pub priority: Priority,
    /// The shopper's token, to be shown to the services called on the shopper's behalf.
    pub authorization: Option<HeaderValue>,
}

/// On a response: the deadline of its request was exceeded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeadlineExceeded;

impl Context {
    /// For work that no request waits for: recovery, relays, look-ups of keys.
    pub fn background() -> Self {
        Self {
            deadline: None,
            priority: Priority::Critical,
            authorization: None,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Context {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // The server stack puts it there; a router without the stack (a unit test) works without limits.
        Ok(parts
            .extensions
            .get::<Context>()
            .cloned()
            .unwrap_or_else(Context::background))
    }
}
