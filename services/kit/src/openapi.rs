//! Routes and their document from one location: a handler is bound to an operation of the contract, so that no path is
//! without its description, and `GET /openapi.json` describes what is there.

use axum::Router;
use axum::handler::Handler;
use axum::http::header::CONTENT_TYPE;
use axum::routing::{MethodFilter, get, on};
use bytes::Bytes;
use serde_json::Value;
use shop_contract::Role;
use shop_contract::openapi::operation::{Method, Operation};
use shop_contract::openapi::{DocumentScope, document};

/// Where every listener of the shop serves its document.
pub const PATH: &str = "/openapi.json";

/// The routes of a service.
pub struct Routes<S> {
    role: Role,
    operations: Vec<&'static Operation>,
    router: Router<S>,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// None yet.
    pub fn of(role: Role) -> Self {
        Self {
            role,
            operations: Vec::new(),
            router: Router::new(),
        }
    }

    /// One more: `handler` does what `operation` describes.
    #[must_use]
    pub fn on<H, T>(mut self, operation: &'static Operation, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let route = on(filter(operation.method), handler);
        self.router = self.router.route(operation.path, route);
        self.operations.push(operation);
        self
    }

    /// All of them, with the document. The server stack is still to be put around them.
    pub fn with_state(self, state: S) -> Router {
        let described = document(DocumentScope::Service(self.role), &self.operations);
        self.router.with_state(state).merge(serving(&described))
    }
}

/// A router that serves a document, to whoever asks. It is written out once, here.
pub fn serving(document: &Value) -> Router {
    let text = Bytes::from(document.to_string());
    let handler = move || async move { ([(CONTENT_TYPE, "application/json")], text) };
    Router::new().route(PATH, get(handler))
}

/// A method, as routers know it.
pub const fn filter(method: Method) -> MethodFilter {
    match method {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Put => MethodFilter::PUT,
        Method::Delete => MethodFilter::DELETE,
    }
}
