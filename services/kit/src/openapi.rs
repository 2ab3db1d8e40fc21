//! Routes made from operations: a handler is bound to an operation of the contract. So every path is described, and the
//! server stack knows which operation a request is.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::handler::Handler;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use axum::routing::{MethodFilter, get, on_service};
use bytes::Bytes;
use http::Method;
use shop_contract::openapi::{DocumentScope, document};
use shop_contract::operation::{self, Operation};
use shop_contract::role::Role;
use tower::util::BoxCloneSyncService;

/// Where every listener of the shop serves its document.
pub const PATH: &str = "/openapi.json";

/// The routes of a service whose handlers share the state `S`.
pub struct Routes<S> {
    state: S,
    bound: BoundRoutes,
    scope: DocumentScope,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// No routes yet, of a service.
    pub fn of(role: Role, state: S) -> Self {
        Self::in_scope(DocumentScope::Service(role), state)
    }

    /// No routes yet, with a document of this scope.
    pub fn in_scope(scope: DocumentScope, state: S) -> Self {
        Self {
            state,
            bound: Router::new().into(),
            scope,
        }
    }

    /// Adds the handler of an operation.
    #[must_use]
    pub fn on<H, T>(mut self, operation: &'static Operation, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let handler = BoxCloneSyncService::new(handler.with_state(self.state.clone()));
        self.bound.add(operation, handler);
        self
    }

    /// All routes and `GET /openapi.json`, to be put into [`crate::server::stack`].
    pub fn finish(self) -> BoundRoutes {
        self.bound.with_document(self.scope)
    }
}

/// A handler with its state. Boxed, so that routers are compiled once, here, and not in every service.
type BoxedHandler = BoxCloneSyncService<Request, Response, Infallible>;

/// Routes, and the operation that each of them is bound to.
pub struct BoundRoutes {
    pub(crate) router: Router,
    pub(crate) operations: Operations,
}

impl From<Router> for BoundRoutes {
    /// Routes that are bound to no operation.
    fn from(router: Router) -> Self {
        Self {
            router,
            operations: Operations::default(),
        }
    }
}

impl BoundRoutes {
    fn add(&mut self, operation: &'static Operation, handler: BoxedHandler) {
        let filter = match operation.method {
            operation::Method::Get => MethodFilter::GET,
            operation::Method::Post => MethodFilter::POST,
            operation::Method::Put => MethodFilter::PUT,
            operation::Method::Delete => MethodFilter::DELETE,
        };
        let router = std::mem::take(&mut self.router);
        self.router = router.route(operation.path, on_service(filter, handler));
        Arc::make_mut(&mut self.operations.0)
            .entry(operation.path)
            .or_default()
            .push(operation);
    }

    fn with_document(self, scope: DocumentScope) -> Self {
        let operations: Vec<&Operation> = self.operations.0.values().flatten().copied().collect();
        // Serialized once, here.
        let text = Bytes::from(document(scope, &operations).to_string());
        let handler = move || async move { ([(CONTENT_TYPE, "application/json")], text) };
        Self {
            router: self.router.route(PATH, get(handler)),
            ..self
        }
    }
}

/// The operations of a router, by the template of their path.
#[derive(Clone, Default)]
pub(crate) struct Operations(Arc<BTreeMap<&'static str, Vec<&'static Operation>>>);

impl Operations {
    /// The operation that a routed request is. A HEAD request is the operation of GET.
    pub(crate) fn of(&self, request: &Request) -> Option<&'static Operation> {
        let template = request.extensions().get::<MatchedPath>()?;
        let wanted = match *request.method() {
            Method::HEAD => &Method::GET,
            ref other => other,
        };
        let of_path = self.0.get(template.as_str())?;
        let found = of_path.iter().find(|o| method(o.method) == *wanted);
        found.copied()
    }
}

/// A method as the HTTP libraries have it.
pub(crate) const fn method(method: operation::Method) -> Method {
    match method {
        operation::Method::Get => Method::GET,
        operation::Method::Post => Method::POST,
        operation::Method::Put => Method::PUT,
        operation::Method::Delete => Method::DELETE,
    }
}
