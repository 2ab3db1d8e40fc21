//! Compares the telemetry of a running shop with `docs/telemetry.md`, in both directions.

mod document;
mod page;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde_json::{Value, json};
use shop_contract::bank::{CARD_DECLINED, CARD_GOOD};
use shop_contract::user::{SEEDED_PASSWORD, seeded_email};

use crate::harness::{RunningShop, http, json as read_json, until};
use crate::otlp::{Receiver, Span};
use document::Document;
use page::Exposed;

fn hex(id: &[u8]) -> String {
    id.iter().map(|b| format!("{b:02x}")).collect()
}

/// The admin listeners by role.
fn admins(shop: &RunningShop) -> BTreeMap<String, Vec<SocketAddr>> {
    let mut admins: BTreeMap<String, Vec<SocketAddr>> = BTreeMap::new();
    let targets = read_json(&shop.run_dir().with_extension("targets.json"));
    for group in targets.as_array().unwrap() {
        let role = group["labels"]["service"].as_str().unwrap();
        let address = group["targets"][0].as_str().unwrap().parse().unwrap();
        admins.entry(role.to_owned()).or_default().push(address);
    }
    // The harness's own page is documented elsewhere.
    admins.remove("loadgen");
    admins
}

fn scrape(shop: &RunningShop) -> Exposed {
    let mut exposed = Exposed::default();
    for address in admins(shop).into_values().flatten() {
        let (status, page) = http(address, "GET", "/metrics", &[], &Value::Null);
        assert_eq!(status, 200);
        exposed.add(&page);
    }
    exposed
}

fn inject(shop: &RunningShop, role: &str, fault: &Value) {
    for address in &admins(shop)[role] {
        let (status, message) = http(*address, "POST", "/faults", &[], fault);
        assert_eq!(status, 201, "{message}");
    }
}

fn clear(shop: &RunningShop, role: &str) {
    for address in &admins(shop)[role] {
        assert_eq!(
            http(*address, "DELETE", "/faults", &[], &Value::Null).0,
            200
        );
    }
}

/// Sends every kind of request, with some faults. Gives the shopper's token.
fn exercise(shop: &RunningShop) -> String {
    let login = json!({"email": seeded_email(0), "password": SEEDED_PASSWORD});
    let (_, session) = shop.call("POST", "/users/login", &[], &login);
    let token = session["token"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {token}");
    let me = ("Authorization", bearer.as_str());
    let buy = |key: &str, card: &str| {
        let put = json!({"quantity": 1});
        let (status, message) = shop.call("PUT", "/cart/items/p-00001", &[me], &put);
        assert_eq!(status, 200, "{message}");
        let key = ("Idempotency-Key", key);
        shop.call("POST", "/orders", &[me, key], &json!({"card": card}))
    };
    let get = |path: &str, id: &str| {
        let id = ("X-Request-Id", id);
        // As the load generator sends it.
        let agent = ("User-Agent", "telemetry-test");
        let synthetic = ("baggage", "synthetic_request=true");
        let headers = [me, id, agent, synthetic];
        shop.call("GET", path, &headers, &Value::Null).0
    };
    assert_eq!(get("/products?limit=3", "a-list"), 200);
    assert_eq!(get("/products/search?q=a", "a-search"), 200);
    assert_eq!(get("/products/p-00001", "a-product"), 200);
    assert_eq!(get("/nothing/here", "a-mistake"), 404);
    let wait = json!({"name": "slow", "kind": "latency", "ttl_ms": 60_000, "delay_us": 1000});
    inject(shop, "bank", &wait);
    let far = json!({"name": "far", "kind": "latency", "ttl_ms": 60_000, "delay_us": 1000,
        "only": {"calling": "bank"}});
    inject(shop, "payment", &far);
    let (status, order) = buy("first", CARD_GOOD);
    assert_eq!(status, 201, "{order}");
    clear(shop, "bank");
    clear(shop, "payment");
    let id = order["id"].as_str().unwrap();
    assert_eq!(get(&format!("/orders/{id}"), "an-order"), 200);
    assert_eq!(buy("second", CARD_DECLINED).0, 402);

    // A product page without its stock, failed attempts, and spans of faults and failures.
    let broken = json!({"name": "broken", "kind": "error", "ttl_ms": 60_000, "status": 503,
        "only": {"route": "GET /stock/{product_id}"}});
    inject(shop, "inventory", &broken);
    assert_eq!(get("/products/p-00002", "without-stock"), 200);
    clear(shop, "inventory");
    let slow =
        json!({"name": "slow-disk", "kind": "slow-database", "ttl_ms": 60_000, "delay_us": 1000});
    inject(shop, "user", &slow);
    shop.call("POST", "/users/login", &[], &login);
    clear(shop, "user");
    let failing = json!({"name": "bad-disk", "kind": "failing-database", "ttl_ms": 60_000});
    inject(shop, "order", &failing);
    assert_eq!(get("/orders", "no-orders"), 500);
    clear(shop, "order");
    token
}

fn missing<'a>(
    wanted: impl IntoIterator<Item = &'a String>,
    there: &BTreeSet<String>,
) -> Vec<&'a String> {
    wanted.into_iter().filter(|w| !there.contains(*w)).collect()
}

fn compare_metrics(document: &Document, exposed: &Exposed) {
    for (name, (kind, labels)) in &exposed.metrics {
        let Some((message, documented)) = document.metrics.get(name) else {
            panic!("docs/telemetry.md has no metric `{name}`");
        };
        assert_eq!(message, kind, "the type of `{name}`");
        assert_eq!(documented, labels, "the labels of `{name}`");
    }
    let there = exposed.metrics.keys().cloned().collect();
    let absent = missing(document.metrics.keys(), &there);
    assert!(absent.is_empty(), "documented, and not exposed: {absent:?}");
}

/// Compares the document with spans.
fn compare_spans(document: &Document, spans: &[Span]) -> Result<(), String> {
    let mut emitted: Vec<BTreeSet<String>> = vec![BTreeSet::new(); document.spans.len()];
    let mut seen = vec![false; document.spans.len()];
    for span in spans {
        let is = |row: &document::SpanRow| row.matches(span.kind, &span.name);
        let Some(at) = document.spans.iter().position(is) else {
            return Err(format!("docs/telemetry.md has no span as {span:?}"));
        };
        let row = &document.spans[at];
        let own: BTreeSet<String> = span.attributes.keys().cloned().collect();
        let unknown = missing(&own, &row.attributes);
        if !unknown.is_empty() {
            return Err(format!("`{}` has no attribute {unknown:?}", row.pattern));
        }
        seen[at] = true;
        emitted[at].extend(own);
    }
    for (at, row) in document.spans.iter().enumerate() {
        let only_when = |what: String| document.only_when.contains(&what);
        if !seen[at] && !only_when(row.label()) {
            return Err(format!("no span `{}` was emitted", row.pattern));
        }
        let absent = missing(&row.attributes, &emitted[at]);
        let absent: Vec<_> = absent
            .into_iter()
            .filter(|a| seen[at] && !only_when(format!("span attribute {a}")))
            .collect();
        if !absent.is_empty() {
            return Err(format!("no span `{}` had {absent:?}", row.pattern));
        }
    }
    Ok(())
}

/// Every log line of the services, with the service's name.
fn log_lines(shop: &RunningShop) -> Vec<(String, Value)> {
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(shop.run_dir().join("logs")).unwrap() {
        let path = entry.unwrap().path();
        let service = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if service == "doorbuster" {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        // The last line may be incomplete.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        lines.extend(whole.lines().map(|line| {
            let read = serde_json::from_str(line);
            let read = read.unwrap_or_else(|e| panic!("{}: {e}: {line}", path.display()));
            (service.clone(), read)
        }));
    }
    lines
}

fn compare_logs(document: &Document, lines: &[(String, Value)]) {
    let mut fields = BTreeSet::new();
    for (service, line) in lines {
        let own: BTreeSet<String> = line.as_object().unwrap().keys().cloned().collect();
        let unknown = missing(&own, &document.fields);
        assert!(
            unknown.is_empty(),
            "docs/telemetry.md has no field {unknown:?}: {service}: {line}"
        );
        fields.extend(own);
    }
    let absent = missing(&document.fields, &fields);
    let absent: Vec<_> = absent
        .into_iter()
        .filter(|f| !document.only_when.contains(&format!("field {f}")))
        .collect();
    assert!(absent.is_empty(), "documented, and in no line: {absent:?}");
}

#[test]
fn emitted_and_documented_telemetry_are_the_same() {
    let document = Document::read();
    let otlp = Receiver::listen();
    let shop = RunningShop::open(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &otlp.grpc),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "50"),
        ("DOORBUSTER_LOG", "info,shop_kit::request=debug"),
    ]);

    // Before the first request.
    let initial: BTreeSet<String> = scrape(&shop).metrics.into_keys().collect();
    let at_once: Vec<&String> = document
        .metrics
        .keys()
        .filter(|name| !document.with_the_first_event.contains(*name))
        .collect();
    let absent = missing(at_once, &initial);
    assert!(absent.is_empty(), "not there from the start: {absent:?}");

    let token = exercise(&shop);
    let histograms: BTreeSet<&String> = document
        .metrics
        .iter()
        .filter(|(_, (kind, _))| kind == "histogram")
        .map(|(name, _)| name)
        .collect();
    // Events are processed asynchronously.
    let exposed = until("an exemplar on every histogram", || {
        let exposed = scrape(&shop);
        let with: BTreeSet<&String> = exposed.exemplars.keys().collect();
        (with == histograms).then_some(exposed)
    });
    compare_metrics(&document, &exposed);

    // Spans and records are exported in batches.
    let mut last = String::new();
    let spans = until("every documented span", || {
        let spans = otlp.receiver.spans();
        match compare_spans(&document, &spans) {
            Ok(()) => Some(spans),
            Err(what) if what.starts_with("no span") => {
                if last != what {
                    eprintln!("waiting: {what}");
                    last = what;
                }
                None
            }
            Err(what) => panic!("{what}"),
        }
    });
    until("the traces of all exemplars", || {
        let traces: BTreeSet<String> = otlp
            .receiver
            .spans()
            .iter()
            .map(|s| hex(&s.trace))
            .collect();
        let ids = exposed.exemplars.values().flatten();
        missing(ids, &traces).is_empty().then_some(())
    });
    let lines = log_lines(&shop);
    compare_logs(&document, &lines);

    // One line per request and service: no two lines with one span.
    for id in [
        "a-list",
        "a-mistake",
        "a-product",
        "without-stock",
        "no-orders",
    ] {
        let message: Vec<&(String, Value)> = lines
            .iter()
            .filter(|(_, line)| line["request_id"] == id && line["message"] == "request")
            .collect();
        let at_gateway = message.iter().filter(|(service, _)| service == "gateway-0");
        assert_eq!(at_gateway.count(), 1, "{id}: {message:?}");
        let ids = message
            .iter()
            .map(|(_, line)| line["span_id"].as_str().unwrap());
        assert_eq!(
            ids.collect::<BTreeSet<_>>().len(),
            message.len(),
            "{message:?}"
        );
        let trace = |line: &Value| line["trace_id"].as_str().unwrap().to_owned();
        let traces: BTreeSet<String> = message.iter().map(|(_, line)| trace(line)).collect();
        assert_eq!(traces.len(), 1, "{message:?}");
    }

    // The same lines as OTLP records, each with the span of its request.
    let record = until("the record of a request", || {
        let records = otlp.receiver.records();
        records.into_iter().find(|r| {
            r.service == "gateway"
                && r.message == "request"
                && r.attributes
                    .get("request_id")
                    .is_some_and(|id| id == "a-product")
        })
    });
    let of_span = |span: &&Span| span.trace == record.trace && span.id == record.span;
    let span = until("its span", || {
        otlp.receiver.spans().iter().find(of_span).cloned()
    });
    assert_eq!(span.name, "GET /products/{id}");

    // No token, card or password is logged or in a span.
    let message = lines.iter().map(|(_, line)| line.to_string());
    let shown = spans.iter().map(|s| format!("{:?}", s.attributes));
    for text in message.chain(shown) {
        for secret in [token.as_str(), CARD_GOOD, CARD_DECLINED, SEEDED_PASSWORD] {
            assert!(!text.contains(secret), "a secret in {text}");
        }
    }
}

#[test]
fn log_lines_are_exported_by_http_with_trace_and_span_ids() {
    let otlp = Receiver::listen();
    let shop = RunningShop::open(&[
        ("OTEL_LOGS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &otlp.http_logs),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/protobuf"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "50"),
        ("DOORBUSTER_LOG", "info,shop_kit::request=debug"),
    ]);
    let id = ("X-Request-Id", "find-me");
    let (status, _) = shop.call("GET", "/products?limit=3", &[id], &Value::Null);
    assert_eq!(status, 200);
    let both = until("the records of both services", || {
        let records = otlp.receiver.records().into_iter();
        let matching: Vec<_> = records
            .filter(|r| {
                r.attributes
                    .get("request_id")
                    .is_some_and(|id| id == "find-me")
            })
            .collect();
        (matching.len() == 2).then_some(matching)
    });
    let services: BTreeSet<&str> = both.iter().map(|r| r.service.as_str()).collect();
    assert_eq!(services, BTreeSet::from(["gateway", "product"]));
    assert_eq!(both[0].trace.len(), 16, "{both:?}");
    assert_eq!(
        both[0].trace, both[1].trace,
        "one trace id, although no trace is kept"
    );
    assert_ne!(both[0].span, both[1].span);
}
