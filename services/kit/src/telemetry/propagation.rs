//! W3C trace context and baggage: read from and written to headers and events.

use std::collections::HashMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use shop_contract::headers::TRACEPARENT;

/// The context in a request's headers.
pub fn extract(headers: &HeaderMap) -> Context {
    let baggage = BaggagePropagator::new().extract(&Headers(headers));
    TraceContextPropagator::new().extract_with_context(&baggage, &Headers(headers))
}

/// Adds the context to a request's headers.
pub fn inject(context: &Context, headers: &mut HeaderMap) {
    TraceContextPropagator::new().inject_context(context, &mut HeadersMut(headers));
    BaggagePropagator::new().inject_context(context, &mut HeadersMut(headers));
}

/// Whether the request is synthetic, as the load generator marks its requests in the baggage.
pub fn is_synthetic(context: &Context) -> bool {
    let value = context.baggage().get("synthetic_request");
    value.is_some_and(|value| value.as_str() == "true")
}

/// The `traceparent` of a context, to be stored with an event.
pub fn traceparent(context: &Context) -> Option<String> {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(context, &mut carrier);
    carrier.remove(TRACEPARENT)
}

/// The context of a stored `traceparent`.
pub fn from_traceparent(traceparent: Option<&str>) -> Context {
    let carrier: HashMap<String, String> = traceparent
        .map(|t| (TRACEPARENT.to_owned(), t.to_owned()))
        .into_iter()
        .collect();
    TraceContextPropagator::new().extract(&carrier)
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|v| v.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct HeadersMut<'a>(&'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        let name = HeaderName::from_bytes(key.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
            self.0.insert(name, value);
        }
    }
}
