//! A call to be made: an operation of another service, with the values of this request.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Serialize;
use shop_contract::headers::IDEMPOTENCY_KEY;
use shop_contract::operation::{Operation, path};
use shop_contract::role::Role;

use super::answer::CallError;
use crate::context::Context;
use crate::openapi;

/// A call to be made. The operation says where to, how long a try may take, and whether it may be repeated or hedged.
#[derive(Debug, Clone)]
pub struct Call {
    pub(super) operation: &'static Operation,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) hedged: bool,
    pub(super) per_try: Duration,
}

impl Call {
    /// A call of an operation. Its path's parameters are to be filled with [`Self::path`].
    pub fn to(operation: &'static Operation) -> Self {
        Self::with(
            operation,
            openapi::method(operation.method),
            operation.path.to_owned(),
        )
    }

    /// A call that forwards a request: with the request's method (HEAD, where the operation's is GET) and with path and
    /// query as they were sent.
    pub fn forwarding(
        operation: &'static Operation,
        method: Method,
        path_and_query: impl Into<String>,
    ) -> Self {
        Self::with(operation, method, path_and_query.into())
    }

    fn with(operation: &'static Operation, method: Method, path: String) -> Self {
        Self {
            hedged: operation.hedged && method == Method::GET,
            per_try: operation.per_try,
            operation,
            method,
            path,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// The value of the next parameter of the path.
    #[must_use]
    pub fn path(mut self, value: &str) -> Self {
        self.path = path::fill(&self.path, value);
        self
    }

    /// A parameter of the query.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.path = path::with_query(&self.path, name, value);
        self
    }

    /// A JSON body.
    ///
    /// # Errors
    /// A body that JSON cannot express.
    pub fn json(self, body: &impl Serialize) -> Result<Self, CallError> {
        let json = serde_json::to_vec(body).map_err(|e| CallError::Body(e.to_string()))?;
        Ok(self
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(json.into()))
    }

    /// A body of raw bytes.
    #[must_use]
    pub fn body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    /// A header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// An idempotency key. A key that no header can hold is left out.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        match HeaderValue::from_str(key) {
            Ok(value) => self.header(HeaderName::from_static(IDEMPOTENCY_KEY), value),
            Err(_) => self,
        }
    }

    /// The token of the shopper whose request is being served.
    #[must_use]
    pub fn on_behalf_of(self, context: &Context) -> Self {
        match &context.authorization {
            Some(token) => self.header(AUTHORIZATION, token.clone()),
            None => self,
        }
    }

    /// How long a try of this call may take, instead of the operation's time.
    #[must_use]
    pub fn per_try(mut self, limit: Duration) -> Self {
        self.per_try = limit;
        self
    }

    /// Asks one replica at a time, although the operation may be hedged.
    #[must_use]
    pub fn unhedged(mut self) -> Self {
        self.hedged = false;
        self
    }

    /// The service to call.
    pub(super) fn peer(&self) -> Role {
        self.operation.service
    }

    /// The template of the path, for spans and metrics: `/orders/{id}`.
    pub(super) fn template(&self) -> &'static str {
        self.operation.path
    }

    /// Whether it may be repeated when it may have taken effect.
    pub(super) fn may_repeat(&self) -> bool {
        let has_key = self.headers.contains_key(IDEMPOTENCY_KEY);
        self.operation.may_repeat(has_key)
    }
}
