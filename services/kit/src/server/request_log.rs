//! The log line of a request: one for each, whatever else is logged about it.
//!
//! A line costs time and space, so not each is written by default. At `info` are requests that failed, were slow, were
//! refused, had an incomplete answer or were affected by a fault, and all requests of a trace that is kept, so that
//! traces and logs lead to each other. All others are at `debug`. They have a target of their own: the filter
//! `info,shop_kit::request=debug` writes them as well.

use std::time::Duration;

use axum::response::Response;
use shop_contract::role::Role;

/// A request that takes longer is logged, whatever its outcome.
const SLOW: Duration = Duration::from_secs(1);
/// The longest order id that is logged, in bytes. Longer ones are not from this shop.
const MAX_ORDER_ID: usize = 64;

/// Facts about a request that handlers and layers know. They leave them on the response for the log line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestLogFields {
    /// The order that the request was about.
    pub order_id: Option<String>,
    /// Why it was refused.
    pub shed: Option<&'static str>,
    /// When its deadline was exceeded: `arrival` or `work`.
    pub deadline: Option<&'static str>,
    /// Why the answer is incomplete.
    pub degraded: Option<&'static str>,
    /// The faults that affected it, separated by commas.
    pub fault: Option<String>,
}

impl RequestLogFields {
    /// The fields on this response, to add to.
    pub fn of(response: &mut Response) -> &mut Self {
        response.extensions_mut().get_or_insert_default()
    }

    /// Whether they are a reason to write the line at `info`. An order id alone is not.
    fn is_notable(&self) -> bool {
        self.shed.is_some()
            || self.deadline.is_some()
            || self.degraded.is_some()
            || self.fault.is_some()
    }
}

/// An order id from a path, unless it is too long to log.
pub(super) fn loggable_order_id(id: &str) -> Option<&str> {
    (id.len() <= MAX_ORDER_ID).then_some(id)
}

/// A request that has ended.
pub(super) struct Line<'a> {
    pub(super) method: &'a str,
    pub(super) route: &'a str,
    /// `None`: the connection was reset, or the caller hung up.
    pub(super) status: Option<u16>,
    pub(super) took: Duration,
    /// Empty for a request that did not fail.
    pub(super) error: &'a str,
    pub(super) caller: Option<Role>,
    pub(super) request_id: Option<&'a str>,
    /// From the path.
    pub(super) order_id: Option<&'a str>,
    pub(super) fields: Option<&'a RequestLogFields>,
}

impl Line<'_> {
    /// Writes the line at its level. Trace and span are the current ones.
    pub(super) fn write(&self) {
        let none = RequestLogFields::default();
        let fields = self.fields.unwrap_or(&none);
        let shown = !self.error.is_empty() || self.took > SLOW || fields.is_notable() || is_kept();
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
                    order_id = fields.order_id.as_deref().or(self.order_id),
                    shed = fields.shed,
                    deadline = fields.deadline,
                    degraded = fields.degraded,
                    fault = fields.fault.as_deref(),
                    "request"
                )
            };
        }
        if shown { line!(info) } else { line!(debug) }
    }
}

/// Milliseconds, with as many decimals as the clock is worth.
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
    fn an_order_id_that_is_too_long_is_not_logged() {
        let longest = "x".repeat(MAX_ORDER_ID);
        assert_eq!(loggable_order_id(&longest), Some(longest.as_str()));
        assert_eq!(loggable_order_id(&format!("{longest}x")), None);
    }
}
