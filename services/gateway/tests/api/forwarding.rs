//! Forwarding: authentication, headers, and replicas that do not answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use axum::{Json, Router};
use serde_json::{Value, json};
use shop_contract::Role;
use shop_gateway::{Limits, RateLimits};
use shop_kit::Kit;
use shop_kit::net::Lease;
use shop_testkit::{Ask, Identity, ask_get, ask_post, config, serve};

/// A service that answers with the request that it received, headers included.
fn echo() -> Router {
    Router::new().fallback(|request: Request| async move {
        let headers: BTreeMap<String, String> = request
            .headers()
            .iter()
            .map(|(k, v)| (k.to_string(), v.to_str().unwrap_or("").to_owned()))
            .collect();
        let echoed = json!({"method": request.method().as_str(), "uri": request.uri().to_string(), "headers": headers});
        (StatusCode::CREATED, Json(echoed))
    })
}

struct TestGateway {
    api: Router,
    kit: Kit,
    identity: Identity,
}

async fn gateway(order: Vec<String>) -> TestGateway {
    let identity = Identity::start().await;
    let everyone = serve(echo()).await;
    let mut peers: BTreeMap<Role, Vec<String>> =
        Role::ALL.map(|r| (r, vec![everyone.clone()])).into();
    peers.insert(Role::User, vec![identity.address.clone()]);
    if !order.is_empty() {
        peers.insert(Role::Order, order);
    }
    let folder = std::env::temp_dir();
    let kit = Kit::new(config(Role::Gateway, &folder, peers));
    TestGateway {
        api: shop_gateway::router(&kit, &Arc::new(RateLimits::new(Limits::default()))),
        kit,
        identity,
    }
}

async fn call(gateway: &TestGateway, ask: Ask) -> (StatusCode, Value) {
    ask.send(&gateway.api).await
}

#[tokio::test]
async fn a_request_is_forwarded_unchanged_with_trace_and_deadline() {
    let gateway = gateway(Vec::new()).await;
    let ask =
        ask_get("/products?category=toys&limit=3").header("baggage", "synthetic_request=true");
    let (status, echoed) = call(&gateway, ask).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(echoed["uri"], "/products?category=toys&limit=3");
    let left: u64 = echoed["headers"]["x-deadline-ms"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=5000).contains(&left), "{left}");
}

#[tokio::test]
async fn clients_get_neither_more_time_nor_a_metric_series_of_their_own() {
    let gateway = gateway(Vec::new()).await;
    let (_, echoed) = call(
        &gateway,
        ask_get("/products").header("x-deadline-ms", "60000"),
    )
    .await;
    let left = echoed["headers"]["x-deadline-ms"].as_str().unwrap();
    assert!(left.parse::<u64>().unwrap() <= 5000, "{left}");
    let made_up = Method::from_bytes(b"A1").unwrap();
    let (status, _) = call(&gateway, Ask::new(made_up, "/products")).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    let metrics = gateway.kit.metrics().render();
    assert!(!metrics.contains("\"A1\"") && metrics.contains("\"_OTHER\""));
}

#[tokio::test]
async fn headers_of_services_are_not_forwarded() {
    let gateway = gateway(Vec::new()).await;
    let ask = ask_get("/products")
        .header("x-service-key", "guessed")
        .header("x-made-up", "1");
    let (_, echoed) = call(&gateway, ask).await;
    assert_ne!(echoed["headers"]["x-service-key"], "guessed");
    assert_eq!(echoed["headers"]["x-made-up"], Value::Null);
}

#[tokio::test]
async fn internal_paths_do_not_exist_at_the_gateway() {
    let gateway = gateway(Vec::new()).await;
    let token = gateway.identity.token("u-1");
    for (method, path) in [
        (Method::POST, "/payments"),
        (Method::POST, "/payments/p-1/refund"),
        (Method::POST, "/reservations"),
        (Method::DELETE, "/reservations/o-1"),
        (Method::POST, "/notifications/send"),
        (Method::POST, "/events"),
        (Method::POST, "/charges"),
        (Method::GET, "/metrics"),
        (Method::GET, "/faults"),
        (Method::GET, "/audit"),
    ] {
        let (status, _) = call(&gateway, Ask::new(method.clone(), path).with_token(&token)).await;
        let hidden = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];
        assert!(hidden.contains(&status), "{method} {path}: {status}");
    }
}

#[tokio::test]
async fn the_gateway_checks_tokens() {
    let gateway = gateway(Vec::new()).await;
    assert_eq!(
        call(&gateway, ask_get("/cart")).await.0,
        StatusCode::UNAUTHORIZED
    );
    let forged = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1In0.";
    let (status, problem) = call(&gateway, ask_get("/cart").with_token(forged)).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(problem["type"], "urn:doorbuster:problem:unauthorized");
    let good = gateway.identity.token("u-1");
    let (status, echoed) = call(&gateway, ask_get("/cart").with_token(&good)).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(echoed["headers"]["authorization"], format!("Bearer {good}"));
}

#[tokio::test]
async fn a_dead_replica_costs_an_attempt_and_not_the_order() {
    // Reserved and never listened on: every connection to it is refused, as to a killed process.
    let dead = Lease::take(([127, 0, 0, 1], 0).into()).unwrap();
    let gateway = gateway(vec![dead.address().to_string(), serve(echo()).await]).await;
    let token = gateway.identity.token("u-1");
    for n in 0..20 {
        let ask = ask_post("/orders", json!({"card": "tok_good"}));
        let (status, body) = call(&gateway, ask.with_key(&n.to_string()).with_token(&token)).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
    }
    let metrics = gateway.kit.metrics().render();
    let refused = format!(
        "server_port=\"{}\",http_response_status_code=\"\",error_type=\"connect\"",
        dead.address().port()
    );
    assert!(
        metrics.contains(&refused),
        "no attempt met the dead replica:\n{metrics}"
    );
    assert!(metrics.contains("shop_client_retries_total{service_name=\"gateway\",service_instance_id=\"gateway-0\",server_address=\"order\"}"));
}

#[tokio::test]
async fn a_request_that_may_have_taken_effect_is_repeated_only_with_a_key() {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let failing = Router::new().fallback(move || {
        let count = Arc::clone(&count);
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    });
    let gateway = gateway(vec![serve(failing).await]).await;
    let token = gateway.identity.token("u-1");
    let ask = || ask_post("/orders", json!({"card": "tok_good"})).with_token(&token);
    assert_eq!(
        call(&gateway, ask()).await.0,
        StatusCode::INTERNAL_SERVER_ERROR
    );
    assert_eq!(asked.load(Ordering::SeqCst), 1, "without a key: once");
    call(&gateway, ask().with_key("k")).await;
    assert_eq!(
        asked.load(Ordering::SeqCst),
        4,
        "with a key: three attempts more"
    );
}

#[tokio::test]
async fn without_keys_a_token_is_neither_accepted_nor_refused() {
    let good = Identity::start().await.token("u-1");
    let nobody = Lease::take(([127, 0, 0, 1], 0).into()).unwrap();
    let peers = BTreeMap::from([(Role::User, vec![nobody.address().to_string()])]);
    let kit = Kit::new(config(Role::Gateway, &std::env::temp_dir(), peers));
    let limits = Arc::new(shop_gateway::rate_limit::RateLimits::new(
        shop_gateway::Limits::default(),
    ));
    let api = shop_gateway::router(&kit, &limits);
    for _ in 0..3 {
        let (status, _) = ask_get("/cart").with_token(&good).send(&api).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
    let metrics = kit.metrics().render();
    let attempts: f64 = metrics
        .lines()
        .filter(|l| l.starts_with("http_client_request_duration_seconds_count"))
        .filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok())
        .sum();
    assert!(
        attempts <= 3.0,
        "one look-up of three tries at most, not one per request: {attempts}"
    );
}
