//! The server stack: the middleware around every handler.
//!
//! Read [`stack`] from bottom to top, as a request passes it.

mod counters;
mod deadline;
mod limit;
mod observe;
mod request_guard;
pub(crate) mod request_log;
mod request_names;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware;

use crate::Kit;
use crate::faults;
use crate::openapi::BoundRoutes;
use crate::problem::ApiError;
use observe::Observer;

pub use request_log::RequestLogFields;
pub use request_names::request_id;

/// The largest body that a service reads. A checkout has about fifty bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Puts the stack around a service's routes.
pub fn stack(kit: &Kit, routes: impl Into<BoundRoutes>) -> Router {
    wrap(kit, routes.into())
}

fn wrap(kit: &Kit, routes: BoundRoutes) -> Router {
    counters::declare(kit);
    let observer = Observer::new(kit.clone(), routes.operations);
    routes
        .router
        .fallback(|| async { ApiError::not_found("path") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "This path has no such method",
            )
        })
        // Innermost first: axum runs the layer that was added last before the others.
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        // A fault delays a request where a slow handler would: inside of limit and deadline.
        .layer(middleware::from_fn_with_state(
            kit.clone(),
            faults::inject_faults,
        ))
        // Before the work, since refusing must cost nothing; within the metrics, which count refusals.
        .layer(middleware::from_fn_with_state(kit.clone(), limit::limit))
        // Ends requests that are past their deadline.
        .layer(middleware::from_fn_with_state(kit.clone(), deadline::keep))
        // Outermost: span, metrics and log see everything that happens inside.
        .layer(middleware::from_fn_with_state(observer, observe::observe))
}
