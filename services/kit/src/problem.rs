//! The conversion of a service's errors to HTTP responses.
//!
//! Domain errors do not depend on HTTP. Each service maps its own to an [`ApiError`] in its `api.rs`. The caller and the log
//! get different details: the cause of an internal error is logged here, once, and never sent.

use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use shop_contract::headers::{NOT_AT_FAULT, SHED};
use shop_contract::{Problem, problem};

use crate::client::answer::CallError;
use crate::response_marks::{DeadlineExceeded, Overloaded};
use crate::server::request_log::RequestLogFields;
use crate::store::error::StoreError;
use crate::telemetry::trace_context::current_trace_id;

/// An error response.
#[derive(Debug)]
pub struct ApiError {
    /// Boxed, because errors are part of every `Result` and most results are `Ok`.
    problem: Box<Problem>,
    /// Only for the log.
    cause: Option<String>,
    /// Whole seconds after which the caller may retry.
    retry_after_s: Option<u64>,
    shed: bool,
    /// A dependency failed, not this service.
    not_at_fault: bool,
    /// It counts as overload for the adaptive limit.
    overloaded: bool,
    /// The deadline of the request has passed.
    too_late: bool,
}

impl ApiError {
    /// A problem of this kind.
    pub fn new(status: StatusCode, slug: &str, title: &str) -> Self {
        Self {
            problem: Box::new(Problem::new(status.as_u16(), slug, title)),
            cause: None,
            retry_after_s: None,
            shed: false,
            not_at_fault: false,
            overloaded: false,
            too_late: false,
        }
    }

    /// 404, also for something that belongs to another shopper.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is nothing here")
            .detail(format!("no such {what}"))
    }

    /// 400: the request cannot be read.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad-request",
            "The request cannot be read",
        )
        .detail(detail)
    }

    /// 422: it can be read, and asks for something invalid.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            "The request asks for what cannot be",
        )
        .detail(detail)
    }

    /// 401: no token, or an invalid one.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "A valid token is needed",
        )
        .detail(detail)
    }

    /// 403: a valid token without the needed role.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "This caller may not do this",
        )
        .detail(detail)
    }

    /// 503: a dependency does not respond.
    pub fn unavailable(slug: &str, detail: impl Into<String>) -> Self {
        let mut error = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            slug,
            "Something that is needed does not answer",
        )
        .detail(detail);
        error.retry_after_s = Some(1);
        error.not_at_fault = true;
        error
    }

    /// 503 to protect this service; the caller must not retry it elsewhere.
    pub fn shed(reason: &str) -> Self {
        let mut error = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded",
            "There is more work than can be done",
        )
        .detail(reason);
        error.shed = true;
        error
    }

    /// 503: the request was admitted, and then found no free resource of this service.
    pub fn overloaded(reason: &str) -> Self {
        let mut error = Self::shed(reason);
        error.overloaded = true;
        error
    }

    /// 503: the bulkhead of a dependency is full. Neither this service nor the dependency, which was not called, is at fault,
    /// and a retry would only wait as well.
    pub fn busy(detail: impl Into<String>) -> Self {
        let mut error = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "dependency-busy",
            "Too many requests wait for something that is needed",
        )
        .detail(detail);
        error.shed = true;
        error.not_at_fault = true;
        error
    }

    /// 429: this caller exceeds its rate limit, whatever the load of the shop. Unlike a shed request it may be retried, after
    /// `wait`.
    pub fn rate_limited(wait: Duration) -> Self {
        let mut error = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate-limited",
            "This caller asks too often",
        );
        // Rounded up, so that a retry at that time is not refused as too early.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        error.retry_after_s = Some(seconds.max(1));
        error
    }

    /// 504: too little time is left for a response.
    pub fn deadline() -> Self {
        let mut error = Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "deadline-exceeded",
            "The time for this request is over",
        );
        error.too_late = true;
        error
    }

    /// 500, with a cause for the log.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        let mut error = Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something went wrong here",
        );
        error.cause = Some(cause.to_string());
        error
    }

    /// Adds a description of this occurrence.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.problem.detail = Some(detail.into());
        self
    }

    /// Adds the id of the order.
    #[must_use]
    pub fn order(mut self, order_id: &str) -> Self {
        self.problem.order_id = Some(order_id.to_owned());
        self
    }
}

/// The one variable segment of a path, as a handler's argument: 400 if it is not text, and 404 if it contains U+0000, which
/// PostgreSQL cannot store, so nothing has such a name.
#[derive(Debug, Clone)]
pub struct Path(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Path {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Path::<String>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(text)) if text.contains('\0') => {
                Err(ApiError::not_found("thing: its name has U+0000 in it"))
            }
            Ok(axum::extract::Path(text)) => Ok(Self(text)),
            Err(e) => Err(ApiError::bad_request(e.body_text())),
        }
    }
}

/// A JSON body, as a handler's argument: 415 for another media type, 413 if it is too large, 400 with the parser's message if
/// it cannot be parsed, or if its text contains U+0000, which PostgreSQL cannot store.
#[derive(Debug, Clone, Copy)]
pub struct Body<T>(pub T);

impl<S, T> FromRequest<S> for Body<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Serialize,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "The body must be JSON",
            )
            .detail("send it with `Content-Type: application/json`"));
        }
        let bytes = match Bytes::from_request(request, state).await {
            Ok(bytes) => bytes,
            Err(e) if e.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                return Err(ApiError::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "too-large",
                    "The body is too large",
                ));
            }
            Err(e) => return Err(ApiError::bad_request(e.body_text())),
        };
        // Serde would also accept an array with the members of the object in their order.
        if bytes.trim_ascii_start().first().is_some_and(|b| *b == b'[') {
            return Err(ApiError::bad_request("the body must be an object"));
        }
        let body = match axum::Json::<T>::from_bytes(&bytes) {
            Ok(axum::Json(body)) => body,
            Err(e) => return Err(ApiError::bad_request(e.body_text())),
        };
        // Fields that are not read may contain anything, so a hit is checked again on the parsed body.
        if has_nul(&bytes) {
            let parsed = serde_json::to_vec(&body).map_err(ApiError::internal)?;
            if has_nul(&parsed) {
                return Err(ApiError::bad_request("text cannot have U+0000 in it"));
            }
        }
        Ok(Self(body))
    }
}

/// Whether the media type is JSON: `application/json` or `application/…+json`, with any parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE);
    let Some(given) = given.and_then(|v| v.to_str().ok()) else {
        return false;
    };
    let essence = given.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    let kind = essence.strip_prefix("application/");
    kind.is_some_and(|kind| kind == "json" || kind.ends_with("+json"))
}

/// Whether a JSON text contains U+0000. Only the escape can: the raw character is not valid JSON.
fn has_nul(json: &[u8]) -> bool {
    let mut escaped = false;
    for (at, byte) in json.iter().enumerate() {
        if escaped && json[at..].starts_with(b"u0000") {
            return true;
        }
        escaped = !escaped && *byte == b'\\';
    }
    false
}

impl From<StoreError> for ApiError {
    fn from(e: StoreError) -> Self {
        if e.is_overload() {
            ApiError::overloaded("no database connection became free in time")
        } else {
            ApiError::internal(e)
        }
    }
}

impl From<CallError> for ApiError {
    fn from(e: CallError) -> Self {
        match e {
            CallError::Deadline => ApiError::deadline(),
            // A request that the callee shed stays marked as shed.
            CallError::Shed(peer) => ApiError::shed(&format!("{peer} is overloaded")),
            // Counted, but not logged: there may be hundreds.
            busy @ CallError::Bulkhead(_) => ApiError::busy(busy.to_string()),
            other => {
                tracing::warn!(error = %other, "a call failed");
                ApiError::unavailable("dependency-unavailable", other.to_string())
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(mut self) -> Response {
        if let Some(cause) = &self.cause {
            tracing::error!(error = %cause, kind = self.problem.slug(), "a request failed");
        }
        self.problem.trace_id = current_trace_id(false);
        let status =
            StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(&*self.problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(problem::MEDIA_TYPE),
        );
        if let Some(s) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(s));
        }
        if self.shed {
            headers.insert(SHED, HeaderValue::from_static("1"));
        }
        if self.not_at_fault {
            headers.insert(NOT_AT_FAULT, HeaderValue::from_static("1"));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.overloaded {
            response.extensions_mut().insert(Overloaded);
        }
        if self.too_late {
            response.extensions_mut().insert(DeadlineExceeded);
        }
        if let Some(order_id) = self.problem.order_id.take() {
            RequestLogFields::of(&mut response).order_id = Some(order_id);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_is_found_in_every_escape_and_only_there() {
        for json in [r#""\u0000""#, r#"{"a\u0000":1}"#, r#""\\\u0000""#] {
            assert!(has_nul(json.as_bytes()), "{json}");
        }
        for json in [r#""\\u0000""#, r#""\u0001""#, "u0000", "\\"] {
            assert!(!has_nul(json.as_bytes()), "{json}");
        }
    }

    #[test]
    fn json_is_recognised_by_its_media_type() {
        let is = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
            is_json(&headers)
        };
        assert!(is("application/json"));
        assert!(is("Application/JSON; charset=utf-8"));
        assert!(is("application/merge-patch+json"));
        for other in ["", "text/json", "application/jsonp", "text/plain"] {
            assert!(!is(other), "{other}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
