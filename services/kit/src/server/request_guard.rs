//! A request from its arrival to its end: an answer, a reset, or a caller who hangs up. Its end is reported once, to its
//! span, the metrics and the log.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::StatusCode;
use axum::response::Response;
use metrics::{gauge, histogram};
use shop_contract::operation::Operation;
use shop_contract::role::Role;

use super::counters::{self, RESET};
use super::request_log::{Line, RequestLogFields, loggable_order_id};
use super::request_names::{method_label, request_id};
use crate::Kit;
use crate::auth::credentials::calling_service;
use crate::response_marks::ResetConnection;
use crate::telemetry::names;

/// The status of a request whose caller hung up, in metrics only, as nginx writes it into its log. Without a status it
/// would count as a reset, which is a failure of the service; this is none.
const CALLER_HUNG_UP: &str = "499";

/// A request in progress. To be dropped within its span.
pub(super) struct RequestGuard {
    kit: Kit,
    pub(super) method: String,
    pub(super) route: String,
    pub(super) request_id: Option<String>,
    order_id: Option<String>,
    caller: Option<Role>,
    started: Instant,
    has_ended: bool,
}

/// How a request ended.
#[derive(Default)]
struct End<'a> {
    /// `None`: no status was sent.
    status: Option<StatusCode>,
    /// Empty for a request that did not fail.
    error: String,
    fields: Option<&'a RequestLogFields>,
}

impl RequestGuard {
    pub(super) fn begin(
        kit: Kit,
        request: &Request,
        operation: Option<&'static Operation>,
    ) -> Self {
        let route = request
            .extensions()
            .get::<MatchedPath>()
            .map_or("", MatchedPath::as_str)
            .to_owned();
        kit.metrics()
            .record(|| gauge!(names::HTTP_SERVER_ACTIVE).increment(1.0));
        let order_id = operation.and_then(|o| o.order_id_in(request.uri().path()));
        Self {
            method: method_label(request.method()).to_owned(),
            request_id: request_id(request.headers()).map(ToOwned::to_owned),
            order_id: order_id.and_then(loggable_order_id).map(ToOwned::to_owned),
            caller: calling_service(&kit, request.headers()),
            started: Instant::now(),
            has_ended: false,
            kit,
            route,
        }
    }

    /// The request ends with this response.
    pub(super) fn end(mut self, response: &Response) {
        self.has_ended = true;
        // A connection that is reset gets no status.
        let reset = response.extensions().get::<ResetConnection>().is_some();
        let status = (!reset).then(|| response.status());
        self.report(&End {
            status,
            error: match status {
                None => RESET.to_owned(),
                Some(status) if status.is_server_error() => status.as_str().to_owned(),
                Some(_) => String::new(),
            },
            fields: response.extensions().get::<RequestLogFields>(),
        });
    }

    fn report(&self, end: &End<'_>) {
        let elapsed = self.started.elapsed();
        let error = &end.error;
        let is_cancelled = error == names::CANCELLED;
        let span = tracing::Span::current();
        if let Some(status) = end.status {
            span.record("http.response.status_code", i64::from(status.as_u16()));
        }
        if !error.is_empty() {
            span.record("error.type", error);
            span.record("otel.status_code", "ERROR");
        }
        Line {
            method: &self.method,
            route: &self.route,
            status: end.status.map(|s| s.as_u16()),
            took: elapsed,
            error,
            caller: self.caller,
            request_id: self.request_id.as_deref(),
            order_id: self.order_id.as_deref(),
            fields: end.fields,
        }
        .write();
        if !error.is_empty() && !is_cancelled {
            counters::failed(&self.kit, error.clone(), 1);
        }
        let status = match end.status {
            Some(status) => status.as_str().to_owned(),
            None if is_cancelled => CALLER_HUNG_UP.to_owned(),
            None => String::new(),
        };
        self.kit.metrics().record(|| {
            histogram!(
                names::HTTP_SERVER_DURATION,
                "http_request_method" => self.method.clone(),
                "http_route" => self.route.clone(),
                "http_response_status_code" => status,
                "error_type" => error.clone(),
            )
            .record(elapsed.as_secs_f64());
        });
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        if !self.has_ended {
            // A handler that panics resets its connection. Otherwise the caller has hung up.
            let error = match std::thread::panicking() {
                true => RESET,
                false => names::CANCELLED,
            };
            self.report(&End {
                error: error.to_owned(),
                ..End::default()
            });
        }
        self.kit
            .metrics()
            .record(|| gauge!(names::HTTP_SERVER_ACTIVE).decrement(1.0));
    }
}
