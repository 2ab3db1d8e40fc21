//! Every request has an id: the caller's own where it can be used, else a new one.
//!
//! A trace id says the same to whoever can look traces up. The request id is for callers who cannot: it is on every
//! answer, also where nothing went wrong, and callers may choose it.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use shop_contract::headers;
use shop_kit::server;
use uuid::Uuid;

/// Its header.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static(headers::REQUEST_ID);

/// Sets the id before anything else sees the request, and returns it with the answer.
pub(crate) async fn carry(mut request: Request, next: Next) -> Response {
    let id = match server::request_id(request.headers()) {
        Some(id) => HeaderValue::from_str(id),
        // Version 7 begins with the time, so ids sort as their requests came.
        None => HeaderValue::from_str(&Uuid::now_v7().to_string()),
    };
    let Ok(id) = id else {
        // Neither can hold what a header cannot.
        return next.run(request).await;
    };
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let mut response = next.run(request).await;
    response.headers_mut().insert(REQUEST_ID, id);
    response
}
