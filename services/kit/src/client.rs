//! The client stack: how a service calls another one.
//!
//! [`Kit::call`](crate::Kit::call) asks the policies of `shop-resilience` and does what they say: which replica, how long, whether
//! again. Each attempt has a client span of its own, carries the trace, the remaining time and the services' key,
//! and tells breaker and balancer how it went, also when it is cancelled in the middle.

mod attempt;
mod call;
pub(crate) mod connector;
mod hedged;
pub(crate) mod peer;
mod room;

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use shop_contract::headers::IDEMPOTENCY_KEY;
use shop_contract::{Problem, Role};

use crate::context::Context;

/// How long one attempt may take, unless the call says otherwise.
const PER_TRY: Duration = Duration::from_secs(2);

/// A call to be made.
#[derive(Debug, Clone)]
pub struct Call {
    method: Method,
    /// The route's template, for spans and figures: `/orders/{id}`.
    template: &'static str,
    path: String,
    headers: HeaderMap,
    body: Bytes,
    repeatable: bool,
    hedged: bool,
    per_try: Duration,
}

impl Call {
    /// A call; `template` is the route that `path` belongs to.
    pub fn new(method: Method, template: &'static str, path: impl Into<String>) -> Self {
        Self {
            repeatable: method.is_idempotent(),
            method,
            template,
            path: path.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            hedged: false,
            per_try: PER_TRY,
        }
    }

    /// A reading call.
    pub fn get(template: &'static str, path: impl Into<String>) -> Self {
        Self::new(Method::GET, template, path)
    }

    /// A call with a JSON body.
    ///
    /// # Errors
    /// A body that JSON cannot express.
    pub fn post(
        template: &'static str,
        path: impl Into<String>,
        body: &impl Serialize,
    ) -> Result<Self, CallError> {
        let json = serde_json::to_vec(body).map_err(|e| CallError::Body(e.to_string()))?;
        Ok(Self::new(Method::POST, template, path)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(json.into()))
    }

    /// Raw bytes to send.
    #[must_use]
    pub fn body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    /// A header to send.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// An idempotency key. It makes any call one that may be tried again.
    #[must_use]
    pub fn key(mut self, key: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(key) {
            self.headers
                .insert(HeaderName::from_static(IDEMPOTENCY_KEY), value);
            self.repeatable = true;
        }
        self
    }

    /// The callee recognises a repetition by what the body holds.
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// When the answer is long in coming, a second replica is asked as well, and the first good answer taken. For reads
    /// that somebody waits for and that cost the callee little; anything but a GET is made as if this had not been said.
    #[must_use]
    pub fn hedged(mut self) -> Self {
        self.hedged = self.method == Method::GET;
        self
    }

    /// On behalf of the shopper whose request is being served.
    #[must_use]
    pub fn on_behalf_of(mut self, context: &Context) -> Self {
        if let Some(token) = &context.authorization {
            self.headers.insert(AUTHORIZATION, token.clone());
        }
        self
    }

    /// How long one attempt may take.
    #[must_use]
    pub fn per_try(mut self, limit: Duration) -> Self {
        self.per_try = limit;
        self
    }
}

/// What came back: any HTTP answer, also one that says no.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// All of its body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// A body of another shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        serde_json::from_slice(&self.body).map_err(|e| CallError::Body(e.to_string()))
    }

    /// The kind of the problem that it states, if it states one.
    pub fn problem(&self) -> Option<String> {
        let problem: Problem = serde_json::from_slice(&self.body).ok()?;
        Some(problem.slug().to_owned())
    }

    /// The body as JSON of an answer that says yes.
    ///
    /// # Errors
    /// [`CallError::Status`] for one that says no, [`CallError::Body`] for another shape.
    pub fn ok<T: DeserializeOwned>(&self, peer: Role) -> Result<T, CallError> {
        if self.status.is_success() {
            self.json()
        } else {
            Err(CallError::Status(peer, self.status.as_u16()))
        }
    }
}

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No time is left.
    #[error("no time is left")]
    Deadline,
    /// The callee refused it to protect itself.
    #[error("{0} is overloaded")]
    Shed(Role),
    /// The breakers of all its replicas are open.
    #[error("{0} has failed too often lately and is left alone for a while")]
    Open(Role),
    /// As many calls to it are under way as this service can spare. It was not asked.
    #[error("too many calls to {0} are under way already")]
    Bulkhead(Role),
    /// This service was not told where to find it.
    #[error("no address of {0} is known; set DOORBUSTER_PEERS")]
    NoAddress(Role),
    /// The last attempt failed on the way.
    #[error("{0} did not answer: {1}")]
    Transport(Role, &'static str),
    /// It answered with a status that says no.
    #[error("{0} answered {1}")]
    Status(Role, u16),
    /// A body that is not what was agreed.
    #[error("a body cannot be read: {0}")]
    Body(String),
}
