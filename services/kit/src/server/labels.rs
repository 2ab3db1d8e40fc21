//! What spans, metrics and log lines call a request: its id, its method, its error.

use axum::http::{HeaderMap, Method};
use metrics::counter;
use shop_contract::headers::REQUEST_ID;
use shop_resilience::RetryReason;

use crate::Kit;
use crate::telemetry::names;

/// The error of a request whose connection was reset, as its caller's client names it.
pub(super) const RESET: &str = RetryReason::Reset.as_str();
/// What a method is called that is not in HTTP's own list.
pub(super) const OTHER: &str = "_OTHER";
/// The request's id, where it has one that is safe to log: 1 to 64 of `A-Z a-z 0-9 . _ -`.
pub fn request_id(headers: &HeaderMap) -> Option<&str> {
    let safe = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    headers
        .get(REQUEST_ID)
        .and_then(|v| v.to_str().ok())
        .filter(|id| (1..=64).contains(&id.len()) && id.bytes().all(safe))
}

/// The method, as spans and figures name it: `_OTHER` for whatever is not in HTTP's own list, as the convention has it.
/// Anything may be sent as a method, and each name would be a series of its own for ever.
pub(super) fn method_label(method: &Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "PATCH" | "OPTIONS" | "CONNECT"
        | "TRACE") => known,
        _ => OTHER,
    }
}

pub(super) fn count_failed(kit: &Kit, error: impl Into<metrics::SharedString>, requests: u64) {
    kit.metrics()
        .record(|| counter!(names::FAILED, "error_type" => error.into()).increment(requests));
}
