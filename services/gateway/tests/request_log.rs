//! What a failed request leaves in the log.
//!
//! A binary of its own with one test: `tracing` caches for the whole process whether anybody listens to a span, and a
//! test beside this one, which has no subscriber, could cache that nobody does.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use serde_json::Value;
use shop_contract::Role;
use shop_gateway::{Limits, RateLimits};
use shop_kit::Kit;
use shop_kit::net::Lease;
use shop_testkit::config;
use tower::ServiceExt;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    /// The log line with this message, with the span it was written in.
    fn line(&self, message: &str) -> Value {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let mut lines = text
            .lines()
            .map(|l| serde_json::from_str::<Value>(l).unwrap());
        lines
            .find(|l| l["message"] == message)
            .unwrap_or_else(|| panic!("no line `{message}` in:\n{text}"))
    }
}

#[tokio::test]
async fn span_and_log_line_of_a_failed_request_have_its_id() {
    let dead = Lease::take(([127, 0, 0, 1], 0).into()).unwrap();
    let service = dead.address().to_string();
    let peers: BTreeMap<Role, Vec<String>> = Role::ALL.map(|r| (r, vec![service.clone()])).into();
    let kit = Kit::new(config(Role::Gateway, &std::env::temp_dir(), peers));
    let api = shop_gateway::router(&kit, &Arc::new(RateLimits::new(Limits::default())));
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = "/products".parse().unwrap();
    let id = "find-me".parse().unwrap();
    request.headers_mut().insert("x-request-id", id);
    let answer = api.oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let line = written.line("request");
    assert_eq!(line["request_id"], "find-me");
    let span = &line["span"];
    assert_eq!(span["name"], "request");
    assert_eq!(span["http.request.header.x-request-id"], "find-me");
}
