//! Faults of served requests: the innermost layer of the server stack.

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Span;

use super::filter::RequestInfo;
use super::injections::{Injections, Interruption};
use crate::Kit;
use crate::auth::credentials::calling_service;
use crate::response_marks::ResetConnection;
use crate::server::request_log::RequestLogFields;

/// Applies the active faults to a request.
pub(crate) async fn inject_faults(
    State(kit): State<Kit>,
    request: Request,
    next: Next,
) -> Response {
    let found = kit.faults().for_request(|| {
        let route = request.extensions().get::<MatchedPath>();
        let headers = request.headers();
        RequestInfo::served(
            request.method(),
            route.map_or("", MatchedPath::as_str),
            calling_service(&kit, headers),
            headers.get(AUTHORIZATION),
        )
    });
    let Some(mut injections) = Injections::new(found, &Span::current()) else {
        return next.run(request).await;
    };
    let mut response = match injections.before().await {
        Some(Interruption::Response(error)) => error.into_response(),
        Some(Interruption::Reset | Interruption::ConnectionRefused) => reset(),
        None => change_body(&mut injections, next.run(request).await).await,
    };
    if let Some(names) = injections.names() {
        RequestLogFields::of(&mut response).fault = Some(names);
    }
    response
}

/// A response whose connection will be reset. Only a listener that ignores the mark sends the status.
fn reset() -> Response {
    let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
    response.extensions_mut().insert(ResetConnection);
    response
}

/// Applies the body faults to a response. A body of unknown length is left alone, as it has no half to break off at.
async fn change_body(injections: &mut Injections, response: Response) -> Response {
    let length = response.body().size_hint().exact();
    if !injections.change_body() || length.is_none_or(|n| n == 0) {
        return response;
    }
    let (head, body) = response.into_parts();
    // A body of known length is in memory already.
    let Ok(bytes) = to_bytes(body, usize::MAX).await else {
        return reset();
    };
    Response::from_parts(head, Body::new(injections.deliver(bytes).send()))
}
