//! The spans of a request: at its caller, at the service and at its database. In an unsampled trace there are none, but the
//! trace id is passed on.
//!
//! A binary of its own with one test, for the reason in `event_traces`.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

use std::collections::BTreeMap;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use opentelemetry::Value;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData};
use shop_contract::Role;
use shop_contract::faults::{FaultEffect, FaultOrder, MAX_TTL_MS, Only};
use shop_contract::operation::{Method, Operation, product};
use shop_kit::client::Call;
use shop_kit::context::Context;
use shop_kit::store::{Store, StoreError, sqlite_url};
use shop_kit::telemetry::sampler::{RootSampler, SamplerCounts, Sampling};
use shop_kit::telemetry::trace_context::current_trace_id;
use shop_kit::telemetry::tracing::spans;
use shop_kit::{Kit, server};
use shop_testkit::{CollectedSpans, Metric, config, metric, serve};
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;

static MIGRATIONS: std::sync::LazyLock<sqlx::migrate::Migrator> =
    shop_kit::migrations!["resources/migrations/0001_things.sql"];

/// An attribute as text. It must not be there twice.
fn attribute(span: &SpanData, key: &str) -> Option<String> {
    let mut found = span.attributes.iter().filter(|a| a.key.as_str() == key);
    let value = found.next()?.value.to_string();
    assert!(found.next().is_none(), "{key} twice in {span:?}");
    Some(value)
}

fn of_kind(spans: &[SpanData], kind: SpanKind) -> Vec<&SpanData> {
    spans.iter().filter(|s| s.span_kind == kind).collect()
}

/// The error types of all series of a histogram, sorted.
fn errors_of(kit: &Kit, histogram: &str) -> Vec<String> {
    let count = metric(format!("{histogram}_count"));
    count.values_of("error_type", &kit.metrics().render())
}

const NOWHERE: Operation = read("/nowhere");
const BUSY: Operation = read("/busy");
const HEADERS: Operation = read("/headers");
const HANGS: Operation = read("/hangs");

/// A read at the callee.
const fn read(path: &'static str) -> Operation {
    Operation::new(Role::Product, Method::Get, path, "read", "Reads", &[])
}

struct World {
    _database: tempfile::TempDir,
    collected: CollectedSpans,
    caller: Kit,
    callee: Kit,
    address: String,
}

impl World {
    async fn open() -> Self {
        let collected = CollectedSpans::default();
        let root = Sampling {
            ratio: 1.0,
            per_second: 0.0,
            at_edge: false,
        };
        let provider = SdkTracerProvider::builder()
            .with_sampler(RootSampler::new(root, SamplerCounts::default()))
            .with_simple_exporter(collected.clone())
            .build();
        let subscriber = tracing_subscriber::registry().with(spans(&provider));
        tracing::subscriber::set_global_default(subscriber).unwrap();
        let folder = std::env::temp_dir();
        let callee = Kit::new(config(Role::Product, &folder, BTreeMap::new()));
        let routes = Router::new()
            .route("/products/{id}", get(|| async { "a product" }))
            .route("/busy", get(|| async { StatusCode::SERVICE_UNAVAILABLE }))
            .route("/hangs", get(std::future::pending::<StatusCode>))
            .route("/headers", get(headers));
        let address = serve(server::stack(&callee, routes)).await;
        let peers = BTreeMap::from([(Role::Product, vec![address.clone()])]);
        let database = tempfile::tempdir().unwrap();
        let mut config = config(Role::Cart, &folder, peers);
        config.database_url = sqlite_url(&database.path().join("cart.db"));
        let caller = Kit::new(config);
        Self {
            _database: database,
            collected,
            caller,
            callee,
            address,
        }
    }

    /// Calls within a request that has this `traceparent`.
    async fn call(
        &self,
        traceparent: Option<&str>,
        baggage: &'static str,
        call: Call,
    ) -> StatusCode {
        let span = tracing::info_span!(target: "shop_test", "cause");
        let mut headers = HeaderMap::new();
        if let Some(traceparent) = traceparent {
            headers.insert("traceparent", traceparent.parse().unwrap());
        }
        headers.insert("baggage", baggage.parse().unwrap());
        span.set_parent(shop_kit::telemetry::propagation::extract(&headers))
            .unwrap();
        let context = Context::background();
        let called = self.caller.call(call, &context);
        called.instrument(span).await.unwrap().status
    }
}

/// Waits until `find` returns something.
async fn until<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let start = std::time::Instant::now();
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(
            start.elapsed().as_secs() < 30,
            "timed out waiting for {what}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

/// Whether a service's page has such a metric with another value than zero.
fn is_nonzero(kit: &Kit, metric: &Metric) -> bool {
    let page = kit.metrics().render();
    metric.find_in(&page).iter().any(|s| s.value != 0.0)
}

/// Responds with the trace context of the request.
async fn headers(headers: HeaderMap) -> String {
    let received = headers.get("traceparent").unwrap().to_str().unwrap();
    format!("{received} {}", current_trace_id(false).unwrap())
}

#[tokio::test]
async fn spans_follow_the_conventions_and_are_absent_in_an_unsampled_trace() {
    let world = World::open().await;
    a_request_and_its_call(&world).await;
    failures_and_repetitions(&world).await;
    an_unsampled_trace(&world).await;
    a_database(&world).await;
    an_unknown_method(&world).await;
    a_caller_that_disconnects(&world).await;
}

async fn a_request_and_its_call(world: &World) {
    let call = Call::to(&product::ONE)
        .path("p-1")
        .query("stock", "view")
        .query("q", "my secret");
    let status = world.call(None, "synthetic_request=true", call).await;
    assert_eq!(status, 200);
    let spans = world.collected.take();
    let (server, client) = (
        of_kind(&spans, SpanKind::Server),
        of_kind(&spans, SpanKind::Client),
    );
    let (&[server], &[client]) = (&server[..], &client[..]) else {
        panic!("one of each in {spans:#?}");
    };
    let (_, port) = world.address.split_once(':').unwrap();
    let url = format!(
        "http://{}/products/p-1?stock=view&q=REDACTED",
        world.address
    );
    for (span, key, value) in [
        (server, "http.request.method", "GET"),
        (server, "http.route", "/products/{id}"),
        (server, "url.scheme", "http"),
        (server, "url.path", "/products/p-1"),
        (server, "url.query", "stock=view&q=REDACTED"),
        (server, "server.address", "127.0.0.1"),
        (server, "server.port", port),
        (server, "network.protocol.version", "1.1"),
        (server, "http.response.status_code", "200"),
        (server, "user_agent.synthetic.type", "test"),
        (client, "http.request.method", "GET"),
        (client, "url.template", "/products/{id}"),
        (client, "url.full", &url),
        (client, "server.address", "product"),
        (client, "server.port", port),
        (client, "http.response.status_code", "200"),
    ] {
        assert_eq!(
            attribute(span, key).as_deref(),
            Some(value),
            "{key} of {span:#?}"
        );
    }
    let number = |key: &str| server.attributes.iter().find(|a| a.key.as_str() == key);
    for key in ["http.response.status_code", "server.port"] {
        let value = &number(key).unwrap().value;
        assert!(matches!(value, Value::I64(_)), "{key} is {value:?}");
    }
    for span in [server, client] {
        assert_eq!(span.name, "GET /products/{id}");
        assert_eq!(span.status, Status::Unset, "Ok is left to the application");
        assert_eq!(attribute(span, "error.type"), None);
        assert_eq!(attribute(span, "http.request.resend_count"), None);
    }
    assert_eq!(server.parent_span_id, client.span_context.span_id());
}

async fn failures_and_repetitions(world: &World) {
    let missing = Call::to(&NOWHERE);
    assert_eq!(world.call(None, "", missing).await, 404);
    let spans = world.collected.take();
    let (server, client) = (
        of_kind(&spans, SpanKind::Server),
        of_kind(&spans, SpanKind::Client),
    );
    assert_eq!(
        server[0].name, "GET",
        "an unknown path is not in the span's name"
    );
    assert_eq!(
        (&server[0].status, attribute(server[0], "error.type")),
        (&Status::Unset, None)
    );
    assert!(matches!(client[0].status, Status::Error { .. }));
    assert_eq!(attribute(client[0], "error.type").as_deref(), Some("404"));
    assert_eq!(attribute(server[0], "user_agent.synthetic.type"), None);

    assert_eq!(world.call(None, "", Call::to(&BUSY)).await, 503);
    let spans = world.collected.take();
    let (server, client) = (
        of_kind(&spans, SpanKind::Server),
        of_kind(&spans, SpanKind::Client),
    );
    assert!(client.len() > 1, "{spans:#?}");
    assert_eq!(client.len(), server.len());
    let mut resent = Vec::new();
    for span in &client {
        resent.push(attribute(span, "http.request.resend_count"));
        assert_eq!(attribute(span, "error.type").as_deref(), Some("503"));
        assert!(matches!(span.status, Status::Error { .. }));
    }
    let numbers = (1..client.len()).map(|n| Some(n.to_string()));
    assert_eq!(
        resent,
        std::iter::once(None).chain(numbers).collect::<Vec<_>>()
    );
    for span in server {
        assert_eq!(attribute(span, "error.type").as_deref(), Some("503"));
        assert!(matches!(span.status, Status::Error { .. }));
    }
    // Spans and metrics have the same error types.
    let at_client = errors_of(&world.caller, "http_client_request_duration_seconds");
    assert_eq!(at_client, ["", "404", "503"]);
    let at_server = errors_of(&world.callee, "http_server_request_duration_seconds");
    assert_eq!(at_server, ["", "", "503"]);
}

async fn an_unsampled_trace(world: &World) {
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let unsampled = format!("00-{id}-00f067aa0ba902b7-00");
    let span = tracing::info_span!(target: "shop_test", "cause");
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", unsampled.parse().unwrap());
    span.set_parent(shop_kit::telemetry::propagation::extract(&headers))
        .unwrap();
    let call = Call::to(&HEADERS);
    let context = Context::background();
    let called = world.caller.call(call, &context);
    let answer = called.instrument(span).await.unwrap();
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let (received, at_callee) = text.split_once(' ').unwrap();
    assert!(
        received.starts_with(&format!("00-{id}-")) && received.ends_with("-00"),
        "{received}"
    );
    assert_eq!(
        at_callee, id,
        "the callee's logs and problem documents have it"
    );
    assert_eq!(world.collected.take().len(), 0);
    // No metric has an exemplar that leads to no trace.
    assert!(!world.callee.metrics().render().contains(id));
}

async fn a_database(world: &World) {
    let kit = &world.caller;
    let store = Store::open(kit, &MIGRATIONS).await.unwrap();
    let full = FaultOrder {
        name: "no-room".to_owned(),
        ttl_ms: MAX_TTL_MS,
        share: 1.0,
        seed: 7,
        only: Only::default(),
        effect: FaultEffect::FullDisk,
    };
    kit.faults().inject(full).unwrap();
    let work = async {
        let read = async {
            let rows = sqlx::query("SELECT 1").fetch_all(store.reader()).await?;
            Ok::<_, StoreError>(rows.len())
        };
        assert_eq!(store.operation("select", "things", read).await.unwrap(), 1);
        let write = async { store.begin().await.map(drop) };
        assert!(store.operation("insert", "things", write).await.is_err());
    };
    work.instrument(tracing::info_span!(target: "shop_test", "cause"))
        .await;
    let spans = world.collected.take();
    let named = |name: &str| spans.iter().find(|s| s.name == name).unwrap();
    let (read, write) = (named("select things"), named("insert things"));
    for (key, value) in [
        ("db.system.name", "sqlite"),
        ("db.namespace", "cart.db"),
        ("db.operation.name", "select"),
        ("db.collection.name", "things"),
    ] {
        assert_eq!(
            attribute(read, key).as_deref(),
            Some(value),
            "{key} of {read:#?}"
        );
    }
    assert_eq!(
        (&read.status, attribute(read, "shop.fault")),
        (&Status::Unset, None)
    );
    assert!(matches!(write.status, Status::Error { .. }));
    // SQLITE_FULL.
    assert_eq!(
        attribute(write, "db.response.status_code").as_deref(),
        Some("13")
    );
    assert_eq!(attribute(write, "error.type").as_deref(), Some("13"));
    assert_eq!(attribute(write, "shop.fault").as_deref(), Some("no-room"));
    let injected = named("injected full-disk");
    assert_eq!(injected.parent_span_id, write.span_context.span_id());
    let errors = errors_of(kit, "db_client_operation_duration_seconds");
    assert_eq!(errors, ["", "13"]);

    // Work outside of an operation is in no trace, also when a fault applies to it.
    assert!(store.begin().await.is_err());
    assert_eq!(world.collected.take().len(), 0);
    an_abandoned_operation(world, &store).await;
}

async fn an_abandoned_operation(world: &World, store: &Store) {
    let kit = &world.caller;
    let slow = FaultOrder {
        name: "slow-disk".to_owned(),
        ttl_ms: MAX_TTL_MS,
        share: 1.0,
        seed: 7,
        only: Only::default(),
        effect: FaultEffect::SlowDatabase {
            delay_us: 3_600_000_000,
            jitter_us: 0,
        },
    };
    kit.faults().inject(slow).unwrap();
    let at_work = store.clone();
    let work = async move {
        let read = async {
            let rows = sqlx::query("SELECT 1").fetch_all(at_work.reader()).await?;
            Ok::<_, StoreError>(rows.len())
        };
        at_work.operation("select", "waiting", read).await
    };
    let cause = tracing::info_span!(target: "shop_test", "cause");
    let work = tokio::spawn(work.instrument(cause));
    until("the fault's hit", || {
        let hits = metric("chaos_fault_hits_total").label("fault", "slow-disk");
        is_nonzero(kit, &hits).then_some(())
    })
    .await;
    work.abort();
    assert!(work.await.unwrap_err().is_cancelled());
    let spans = world.collected.take();
    let abandoned = spans.iter().find(|s| s.name == "select waiting").unwrap();
    assert_eq!(
        attribute(abandoned, "shop.fault").as_deref(),
        Some("slow-disk")
    );
    assert_eq!(
        attribute(abandoned, "error.type").as_deref(),
        Some("cancelled")
    );
    assert!(matches!(abandoned.status, Status::Error { .. }));
    let cancelled = metric("db_client_operation_duration_seconds_count");
    assert!(is_nonzero(kit, &cancelled.label("error_type", "cancelled")));
}

async fn an_unknown_method(world: &World) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(&world.address)
        .await
        .unwrap();
    let request = "BREW /products/p-1 HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    let spans = world.collected.take();
    let span = of_kind(&spans, SpanKind::Server)[0];
    assert_eq!(span.name, "HTTP /products/{id}");
    assert_eq!(
        attribute(span, "http.request.method").as_deref(),
        Some("_OTHER")
    );
    let original = attribute(span, "http.request.method_original");
    assert_eq!(original.as_deref(), Some("BREW"));
}

async fn a_caller_that_disconnects(world: &World) {
    let caller = world.caller.clone();
    let cause = tracing::info_span!(target: "shop_test", "cause");
    let call = async move {
        let call = Call::to(&HANGS);
        let _ = caller.call(call, &Context::background()).await;
    };
    let asking = tokio::spawn(call.instrument(cause));
    until("the request", || {
        is_nonzero(&world.callee, &metric("http_server_active_requests")).then_some(())
    })
    .await;
    asking.abort();
    let mut spans = Vec::new();
    let span = until("the end of the request", || {
        spans.extend(world.collected.take());
        spans
            .iter()
            .find(|s| s.span_kind == SpanKind::Server)
            .cloned()
    })
    .await;
    assert_eq!(span.name, "GET /hangs");
    assert_eq!(attribute(&span, "error.type").as_deref(), Some("cancelled"));
    assert_eq!(attribute(&span, "http.response.status_code"), None);
    assert!(matches!(span.status, Status::Error { .. }));
    // The caller cancelled it: no metric counts it as a failure of the service.
    let cancelled = metric("http_server_request_duration_seconds_count")
        .label("http_response_status_code", "499")
        .label("error_type", "cancelled");
    assert!(is_nonzero(&world.callee, &cancelled));
    let failed = metric("shop_requests_failed_total").label("error_type", "cancelled");
    assert!(!is_nonzero(&world.callee, &failed));
    until("no active request", || {
        (!is_nonzero(&world.callee, &metric("http_server_active_requests"))).then_some(())
    })
    .await;
}
