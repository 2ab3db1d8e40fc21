//! One checkout is one trace, from the gateway to the customer's message, as an OTLP receiver gets it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value as OtlpValue;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::{Value, json};
use shop_contract::user::{SEEDED_PASSWORD, seeded_email};
use tonic::{Request, Response, Status};

use crate::harness::{RunningShop, until};

#[derive(Debug, Clone)]
struct Span {
    service: String,
    /// `deployment.environment.name` of its process.
    environment: Option<String>,
    name: String,
    kind: SpanKind,
    trace: Vec<u8>,
    id: Vec<u8>,
    parent: Vec<u8>,
}

/// Stores every span that it receives.
#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut stored = self.0.lock().unwrap();
        for resource in request.into_inner().resource_spans {
            let attributes = resource.resource.unwrap().attributes;
            let text = |key: &str| {
                let found = attributes.iter().find(|a| a.key == key)?;
                match found.value.clone()?.value {
                    Some(OtlpValue::StringValue(text)) => Some(text),
                    other => panic!("{key} is no text but {other:?}"),
                }
            };
            let service = text("service.name").unwrap();
            for span in resource.scope_spans.into_iter().flat_map(|s| s.spans) {
                stored.push(Span {
                    service: service.clone(),
                    environment: text("deployment.environment.name"),
                    kind: span.kind(),
                    name: span.name,
                    trace: span.trace_id,
                    id: span.span_id,
                    parent: span.parent_span_id,
                });
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn start(receiver: Receiver) -> (tokio::runtime::Runtime, String) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    runtime.spawn(
        tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(receiver))
            .serve_with_incoming(incoming),
    );
    (runtime, endpoint)
}

/// The spans of the checkout's trace, once all subscribers have processed its event.
fn checkout_trace(spans: &[Span]) -> Option<Vec<Span>> {
    let entry = spans.iter().find(|s| {
        s.service == "gateway" && s.name == "POST /orders" && s.kind == SpanKind::Server
    })?;
    let trace: Vec<Span> = spans
        .iter()
        .filter(|s| s.trace == entry.trace)
        .cloned()
        .collect();
    let consumers = trace
        .iter()
        .filter(|s| s.kind == SpanKind::Consumer)
        .count();
    (consumers == 3).then_some(trace)
}

/// Every hop of a checkout: caller, callee and call. The caller has a client span, the callee a server span.
const HOPS: [(&str, &str, &str); 9] = [
    ("gateway", "order", "POST /orders"),
    ("order", "cart", "GET /cart"),
    ("order", "inventory", "POST /reservations"),
    ("order", "payment", "POST /payments"),
    ("payment", "bank", "POST /charges"),
    ("order", "inventory", "POST /reservations/{id}/commit"),
    ("order", "notification", "POST /events"),
    ("order", "cart", "POST /events"),
    ("order", "product", "POST /events"),
];

/// Whether a span of this service and name is the child of that one.
fn has_edge(trace: &[Span], parent: (&str, &str), child: (&str, &str)) -> bool {
    let is = |span: &Span, (service, name)| span.service == service && span.name == name;
    trace.iter().filter(|s| is(s, child)).any(|below| {
        trace
            .iter()
            .any(|above| above.id == below.parent && is(above, parent))
    })
}

#[test]
fn a_checkout_is_one_trace_from_the_gateway_to_the_message() {
    let receiver = Receiver::default();
    let (_runtime, endpoint) = start(receiver.clone());
    let shop = RunningShop::open(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment.environment.name=here",
        ),
    ]);
    let login = json!({"email": seeded_email(0), "password": SEEDED_PASSWORD});
    let (status, session) = shop.call("POST", "/users/login", &[], &login);
    assert_eq!(status, 200, "{session}");
    let token = format!("Bearer {}", session["token"].as_str().unwrap());
    let me = ("Authorization", token.as_str());
    let (status, cart) = shop.call("PUT", "/cart/items/p-00001", &[me], &json!({"quantity": 1}));
    assert_eq!(status, 200, "{cart}");
    let key = ("Idempotency-Key", "the-only-one");
    let (status, order) = shop.call("POST", "/orders", &[me, key], &json!({"card": "tok_good"}));
    assert_eq!(status, 201, "{order}");

    // Services export their spans in batches.
    let trace = until("the whole trace, with every hop in it", || {
        let trace = checkout_trace(&receiver.0.lock().unwrap())?;
        HOPS.iter()
            .all(|(caller, callee, call)| has_edge(&trace, (caller, call), (callee, call)))
            .then_some(trace)
    });
    let services: BTreeSet<&str> = trace.iter().map(|s| s.service.as_str()).collect();
    for service in [
        "gateway",
        "order",
        "cart",
        "inventory",
        "payment",
        "bank",
        "notification",
        "product",
    ] {
        assert!(services.contains(service), "no {service} in {services:?}");
    }

    let everywhere = |s: &Span| s.environment.as_deref() == Some("here");
    assert!(trace.iter().all(everywhere), "{trace:?}");

    let by_id: HashMap<&[u8], &Span> = trace.iter().map(|s| (s.id.as_slice(), s)).collect();
    let edge = |parent, child| has_edge(&trace, parent, child);
    assert!(edge(
        ("order", "send shop.orders"),
        ("order", "POST /events")
    ));
    assert!(edge(
        ("notification", "POST /events"),
        ("notification", "process shop.orders")
    ));
    assert!(edge(
        ("notification", "process shop.orders"),
        ("notification", "insert notifications")
    ));

    // The parents of the message's span lead to the gateway.
    let mut at = trace
        .iter()
        .find(|s| s.service == "notification" && s.kind == SpanKind::Consumer)
        .unwrap();
    while let Some(above) = by_id.get(at.parent.as_slice()) {
        at = above;
    }
    assert_eq!(
        (at.service.as_str(), at.name.as_str()),
        ("gateway", "POST /orders")
    );
    assert!(at.parent.is_empty(), "the trace starts at the gateway");

    // The same checkout again: no new order, and the same response.
    let (status, again) = shop.call("POST", "/orders", &[me, key], &json!({"card": "tok_good"}));
    assert_eq!((status, &again["id"]), (201, &order["id"]));
    assert_eq!(shop.call("GET", "/orders", &[], &Value::Null).0, 401);
}

#[test]
fn a_requested_trace_is_kept_once_even_with_a_low_limit() {
    let receiver = Receiver::default();
    let (_runtime, endpoint) = start(receiver.clone());
    // One trace in 1000 s, and one more for requests that ask for a trace.
    let shop = RunningShop::open(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("DOORBUSTER_TRACES_PER_SECOND", "0.001"),
    ]);
    let product = |headers: &[(&str, &str)]| {
        let (status, _) = shop.call("GET", "/products/p-00001", headers, &Value::Null);
        assert_eq!(status, 200);
    };
    for _ in 0..20 {
        product(&[]);
    }
    let asked = |n: u8| format!("00-{:032x}-00f067aa0ba902b7-01", n);
    for n in 1..=20 {
        product(&[("traceparent", &asked(n))]);
    }
    let at_the_door = || {
        let spans = receiver.0.lock().unwrap();
        let served = spans.iter().filter(|s| s.kind == SpanKind::Server);
        let served = served.filter(|s| s.service == "gateway");
        let mut traces: Vec<Vec<u8>> = served.map(|s| s.trace.clone()).collect();
        traces.sort();
        traces
    };
    // The first of each kind. Requested ids sort first.
    let traces = until("both traces", || {
        Some(at_the_door()).filter(|t| t.len() >= 2)
    });
    assert_eq!(traces[0], 1u128.to_be_bytes());
    // A third one would have been created before this request, and exported before the shop closed.
    drop(shop);
    assert_eq!(at_the_door(), traces);
}
