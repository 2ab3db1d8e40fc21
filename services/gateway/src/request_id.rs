//! Every request has an id: the caller's own if it is valid, otherwise a new one.
//!
//! A trace id is useful to those who can look traces up. The request id is for other callers: every answer has it, also
//! a successful one, and callers may choose it.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use shop_contract::headers;
use shop_kit::server;
use uuid::Uuid;

/// Its header.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static(headers::REQUEST_ID);

/// Sets the id before any other layer sees the request, and returns it with the answer.
pub(crate) async fn carry(mut request: Request, next: Next) -> Response {
    let id = match server::request_id(request.headers()) {
        Some(id) => HeaderValue::from_str(id),
        // Version 7 begins with the time, so ids sort in the order of their requests.
        None => HeaderValue::from_str(&Uuid::now_v7().to_string()),
    };
    let Ok(id) = id else {
        // Cannot happen: both texts are valid header values.
        return next.run(request).await;
    };
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let mut response = next.run(request).await;
    response.headers_mut().insert(REQUEST_ID, id);
    response
}
