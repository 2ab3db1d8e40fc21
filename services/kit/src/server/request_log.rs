//! The one line that each request leaves in the log, whatever else is logged on its way.
//!
//! A line costs time and space, so not each is written by default. What failed, was slow, was turned away, was answered
//! with less than it should have been or was touched by a fault has its line at `info`, as has every request of a trace
//! that is kept, so that traces and logs lead to each other. All others are at `debug`, under a target of their own: the
//! filter `info,shop_kit::request=debug` writes them as well.

use std::time::Duration;

use axum::response::Response;
use shop_contract::Role;

/// A request that takes longer is logged, whatever its outcome.
const SLOW: Duration = Duration::from_secs(1);

/// What is known of a request inside only. Whoever knows leaves it on the response, for the line to tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestLogFields {
    /// The order that it was about.
    pub order_id: Option<String>,
    /// Why it was turned away.
    pub shed: Option<&'static str>,
    /// When its time was over: `arrival` or `work`.
    pub deadline: Option<&'static str>,
    /// Why something is missing in the answer.
    pub degraded: Option<&'static str>,
    /// The faults that touched it, separated by commas.
    pub fault: Option<String>,
}

impl RequestLogFields {
    /// What was told of this response so far, to add to.
    pub fn of(response: &mut Response) -> &mut Self {
        response.extensions_mut().get_or_insert_default()
    }

    /// Whether it is worth a line that it would not have had otherwise. An order alone is not.
    fn is_notable(&self) -> bool {
        self.shed.is_some()
            || self.deadline.is_some()
            || self.degraded.is_some()
            || self.fault.is_some()
    }
}

/// A request that was answered, or was not.
pub(super) struct Line<'a> {
    pub(super) method: &'a str,
    pub(super) route: &'a str,
    /// None where the connection was reset.
    pub(super) status: Option<u16>,
    pub(super) took: Duration,
    /// Empty where it did not fail.
    pub(super) error: &'a str,
    pub(super) caller: Option<Role>,
    pub(super) request_id: Option<&'a str>,
    /// As far as its path tells.
    pub(super) order_id: Option<&'a str>,
    pub(super) told: Option<&'a RequestLogFields>,
}

impl Line<'_> {
    /// Writes it, where it is to be written. Trace and span are the current ones.
    pub(super) fn write(&self) {
        let nothing = RequestLogFields::default();
        let told = self.told.unwrap_or(&nothing);
        // What was turned away by the hundred is in the figures; it failed, so it has its line all the same.
        let shown = !self.error.is_empty() || self.took > SLOW || told.is_notable() || is_kept();
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "shop_kit::request",
                    method = self.method,
                    route = self.route,
                    status = self.status,
                    ms = ms(self.took),
                    error = (!self.error.is_empty()).then_some(self.error),
                    caller = self.caller.map(Role::name),
                    request_id = self.request_id,
                    order_id = told.order_id.as_deref().or(self.order_id),
                    shed = told.shed,
                    deadline = told.deadline,
                    degraded = told.degraded,
                    fault = told.fault.as_deref(),
                    "request"
                )
            };
        }
        if shown { line!(info) } else { line!(debug) }
    }
}

/// The order that a path is about: a reservation has the id of its order.
pub(super) fn order_in_path<'a>(route: &str, path: &'a str) -> Option<&'a str> {
    let about_one = matches!(
        route,
        "/orders/{id}" | "/reservations/{id}" | "/reservations/{id}/commit"
    );
    // Longer than any of ours, it is somebody's nonsense, which is not worth its place in a log.
    let id = path.split('/').nth(2).filter(|id| id.len() <= 64);
    id.filter(|_| about_one)
}

/// Milliseconds, with as many decimals as a clock is worth.
fn ms(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

/// Whether the current trace is kept.
fn is_kept() -> bool {
    use opentelemetry::trace::TraceContextExt;
    opentelemetry::Context::map_current(|context| context.span().span_context().is_sampled())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_found_in_the_paths_that_have_one() {
        let found = |route, path| order_in_path(route, path);
        assert_eq!(found("/orders/{id}", "/orders/o-1"), Some("o-1"));
        let committed = found("/reservations/{id}/commit", "/reservations/o-1/commit");
        assert_eq!(committed, Some("o-1"));
        assert_eq!(found("/products/{id}", "/products/p-1"), None);
        assert_eq!(found("/orders", "/orders"), None);
        let long = format!("/orders/{}", "x".repeat(65));
        assert_eq!(found("/orders/{id}", &long), None);
    }
}
