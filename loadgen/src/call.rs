//! What passes between a shopper, who decides, and a connection, which sends: calls, answers and failures.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;

/// One HTTP request that a shopper wants to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The bearer token, where the shopper shows one.
    pub token: Option<Arc<str>>,
    /// The `Idempotency-Key`, where the request has one.
    pub key: Option<String>,
    /// A JSON body, where there is one.
    pub body: Option<String>,
}

/// A whole answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

/// Why a step was not answered as it should be. Shown as the record names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// A status that is not the expected one: `http_503`.
    Http(u16),
    /// No whole answer in time.
    Timeout,
    /// No connection.
    Connect,
    /// The connection broke before the answer was whole.
    Reset,
    /// Not HTTP, or a body that is not what the API promises.
    BadAnswer,
    /// The step needs an account and logging in had failed.
    NoSession,
    /// The step needs a product and the shop showed none.
    NoProduct,
    /// The generator itself ran out of sockets or descriptors. Says nothing about the shop.
    Generator,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http(status) => return write!(f, "http_{status}"),
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Reset => "reset",
            Self::BadAnswer => "bad_answer",
            Self::NoSession => "no_session",
            Self::NoProduct => "no_product",
            Self::Generator => "generator",
        })
    }
}
