//! A request from its beginning to its end, whichever that is: an answer, a reset, or a caller who hangs up. Each leaves
//! one line, one figure, and what its span says.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::StatusCode;
use axum::response::Response;
use metrics::{gauge, histogram};
use shop_contract::Role;

use super::labels::{RESET, count_failed, method_label, request_id};
use super::told::{self, Line, Told};
use crate::Kit;
use crate::auth::credentials::calling_service;
use crate::response_marks::ResetConnection;
use crate::telemetry::names;

/// The status of a request whose caller hung up, in figures alone, as nginx writes it into its log. Without any it would
/// count as a reset, which is a failure of the service; this is not.
const CALLER_HUNG_UP: &str = "499";

/// A request under way. To be dropped within its span.
pub(super) struct Underway {
    kit: Kit,
    pub(super) method: String,
    pub(super) route: String,
    pub(super) request_id: Option<String>,
    order_id: Option<String>,
    caller: Option<Role>,
    started: Instant,
    is_over: bool,
}

/// How a request ended.
#[derive(Default)]
struct End<'a> {
    /// None where nobody got one.
    status: Option<StatusCode>,
    /// Empty where it did not fail.
    error: String,
    told: Option<&'a Told>,
}

impl Underway {
    pub(super) fn begin(kit: Kit, request: &Request) -> Self {
        let route = request
            .extensions()
            .get::<MatchedPath>()
            .map_or("", MatchedPath::as_str)
            .to_owned();
        kit.metrics()
            .record(|| gauge!(names::HTTP_SERVER_ACTIVE).increment(1.0));
        let order_id = told::order_in_path(&route, request.uri().path());
        Self {
            method: method_label(request.method()).to_owned(),
            request_id: request_id(request.headers()).map(ToOwned::to_owned),
            order_id: order_id.map(ToOwned::to_owned),
            caller: calling_service(&kit, request.headers()),
            started: Instant::now(),
            is_over: false,
            kit,
            route,
        }
    }

    /// It ends with this response.
    pub(super) fn end(mut self, response: &Response) {
        self.is_over = true;
        // Whose connection is reset gets no status.
        let reset = response.extensions().get::<ResetConnection>().is_some();
        let status = (!reset).then(|| response.status());
        self.tell(&End {
            status,
            error: match status {
                None => RESET.to_owned(),
                Some(status) if status.is_server_error() => status.as_str().to_owned(),
                Some(_) => String::new(),
            },
            told: response.extensions().get::<Told>(),
        });
    }

    fn tell(&self, end: &End<'_>) {
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
            told: end.told,
        }
        .write();
        if !error.is_empty() && !is_cancelled {
            count_failed(&self.kit, error.clone(), 1);
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

impl Drop for Underway {
    fn drop(&mut self) {
        if !self.is_over {
            // A handler that panics takes its connection with it; else it is the caller who has gone.
            let error = match std::thread::panicking() {
                true => RESET,
                false => names::CANCELLED,
            };
            self.tell(&End {
                error: error.to_owned(),
                ..End::default()
            });
        }
        self.kit
            .metrics()
            .record(|| gauge!(names::HTTP_SERVER_ACTIVE).decrement(1.0));
    }
}
