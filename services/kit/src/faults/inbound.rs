//! Faults of requests that a service serves, as the innermost layer of its server stack.

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Span;

use super::only::Asked;
use super::plan::{Plan, Stop};
use crate::Kit;
use crate::auth::calling_service;
use crate::connections::Reset;
use crate::server::request_log::RequestLogFields;

/// Does to a request what the faults in force do to it.
pub(crate) async fn suffer(State(kit): State<Kit>, request: Request, next: Next) -> Response {
    let touches = kit.faults().at_request(|| {
        let route = request.extensions().get::<MatchedPath>();
        let headers = request.headers();
        Asked::served(
            request.method(),
            route.map_or("", MatchedPath::as_str),
            calling_service(&kit, headers),
            headers.get(AUTHORIZATION),
        )
    });
    let Some(mut plan) = Plan::of(touches, &Span::current()) else {
        return next.run(request).await;
    };
    let mut response = match plan.before().await {
        Some(Stop::Answer(error)) => error.into_response(),
        Some(Stop::Reset | Stop::Refused) => reset(),
        None => spoilt(&mut plan, next.run(request).await).await,
    };
    if let Some(names) = plan.names() {
        RequestLogFields::of(&mut response).fault = Some(names);
    }
    response
}

/// The connection is told by the mark; the status is what a listener that does not know it makes of it.
fn reset() -> Response {
    let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
    response.extensions_mut().insert(Reset);
    response
}

/// Answers have bodies of known length; what flows for as long as it likes is left alone, as it has no half.
async fn spoilt(plan: &mut Plan, response: Response) -> Response {
    if !plan.spoils() || response.body().size_hint().exact().is_none_or(|n| n == 0) {
        return response;
    }
    let (head, body) = response.into_parts();
    // It lies in memory already.
    let Ok(bytes) = to_bytes(body, usize::MAX).await else {
        return reset();
    };
    Response::from_parts(head, Body::new(plan.spoil(bytes).send()))
}
