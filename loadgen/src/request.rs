//! Requests, replies and failures: what a shopper hands to a connection, and what it gets back.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use serde::Serialize;
use shop_contract::openapi::operation::{self, Operation};

/// One HTTP request of a shopper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The HTTP method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The bearer token.
    pub token: Option<Arc<str>>,
    /// The `Idempotency-Key`.
    pub key: Option<String>,
    /// A JSON body.
    pub body: Option<String>,
}

/// A complete HTTP response, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

/// Why a step failed. Displayed as the record spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// An unexpected status: `http_503`.
    Http(u16),
    /// No complete reply in time.
    Timeout,
    /// No connection.
    Connect,
    /// The connection broke before the reply was complete.
    Reset,
    /// Not HTTP, or a body that does not match the API.
    BadReply,
    /// The step needs an account, and the login had failed.
    NoSession,
    /// The step needs a product, and the shop listed none.
    NoProduct,
    /// The generator ran out of sockets or file descriptors. The shop is not at fault.
    Generator,
}

impl Request {
    /// A request for an operation of the shop, without token, key and body.
    pub fn to(operation: &Operation) -> Self {
        Self {
            method: match operation.method {
                operation::Method::Get => Method::GET,
                operation::Method::Post => Method::POST,
                operation::Method::Put => Method::PUT,
                operation::Method::Delete => Method::DELETE,
            },
            path: operation.path.to_owned(),
            token: None,
            key: None,
            body: None,
        }
    }

    /// Fills the parameter of the path, such as `{id}`. The operations in use have at most one.
    #[must_use]
    pub fn path_parameter(mut self, value: &str) -> Self {
        if let (Some(from), Some(to)) = (self.path.find('{'), self.path.find('}')) {
            self.path.replace_range(from..=to, value);
        }
        self
    }

    /// Adds a query, such as `limit=5`.
    #[must_use]
    pub fn query(mut self, query: &str) -> Self {
        self.path.push('?');
        self.path.push_str(query);
        self
    }

    /// Adds a bearer token, if there is one.
    #[must_use]
    pub fn token(mut self, token: &Option<Arc<str>>) -> Self {
        self.token.clone_from(token);
        self
    }

    /// Adds an idempotency key.
    #[must_use]
    pub fn key(mut self, key: String) -> Self {
        self.key = Some(key);
        self
    }

    /// Adds a JSON body.
    #[must_use]
    pub fn json(mut self, body: &impl Serialize) -> Self {
        let body = serde_json::to_string(body).expect("wire types can always be written");
        self.body = Some(body);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http(status) => return write!(f, "http_{status}"),
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Reset => "reset",
            Self::BadReply => "bad_answer",
            Self::NoSession => "no_session",
            Self::NoProduct => "no_product",
            Self::Generator => "generator",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shop_contract::openapi::{cart, order, product};

    #[test]
    fn method_and_path_come_from_the_operation() {
        let list = Request::to(&product::LIST).query("sort=new");
        assert_eq!(
            (list.method, list.path.as_str()),
            (Method::GET, "/products?sort=new")
        );
        let put = Request::to(&cart::SET).path_parameter("p_7");
        assert_eq!(
            (put.method, put.path.as_str()),
            (Method::PUT, "/cart/items/p_7")
        );
        let order = Request::to(&order::CHECKOUT).key("k".to_owned());
        assert_eq!(
            (order.method, order.path.as_str()),
            (Method::POST, "/orders")
        );
        assert_eq!(order.key.as_deref(), Some("k"));
    }
}
