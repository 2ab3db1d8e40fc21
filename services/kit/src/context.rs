//! The context of a request, which is passed on to the calls made for it.

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::request::Parts;
use shop_resilience::{Deadline, Priority};
use std::convert::Infallible;

/// Deadline, priority and token of the current request.
#[derive(Debug, Clone)]
pub struct Context {
    /// When the response becomes useless. `None` if deadlines are switched off.
    pub deadline: Option<Deadline>,
    /// Which requests go first under overload.
    pub priority: Priority,
    /// The shopper's token, passed on to services that are called on the shopper's behalf.
    pub authorization: Option<HeaderValue>,
}

impl Context {
    /// For work outside of a request: recovery, relays, fetching keys.
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
        // The server stack inserts it. A router without the stack (in a unit test) has no limits.
        Ok(parts
            .extensions
            .get::<Context>()
            .cloned()
            .unwrap_or_else(Context::background))
    }
}
