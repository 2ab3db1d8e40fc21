//! Method and id of a request in a form that is safe for metrics, spans and logs.

use axum::http::{HeaderMap, Method};
use shop_contract::headers::REQUEST_ID;

/// The method label for methods that HTTP does not define.
pub(super) const OTHER: &str = "_OTHER";

/// The request's id, where it has one that is safe to log: 1 to 64 of `A-Z a-z 0-9 . _ -`.
pub fn request_id(headers: &HeaderMap) -> Option<&str> {
    let safe = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    headers
        .get(REQUEST_ID)
        .and_then(|v| v.to_str().ok())
        .filter(|id| (1..=64).contains(&id.len()) && id.bytes().all(safe))
}

/// The method as spans and metrics name it: `_OTHER` where HTTP does not define it, as the OpenTelemetry convention
/// has it. A caller may send anything as a method, and each name would be another series.
pub(super) fn method_label(method: &Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "PATCH" | "OPTIONS" | "CONNECT"
        | "TRACE") => known,
        _ => OTHER,
    }
}
