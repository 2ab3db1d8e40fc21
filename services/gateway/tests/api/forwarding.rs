//! The door of the shop: who gets in, where to, and what happens when a replica does not answer.

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

/// A service that tells what it was asked, headers and all.
fn echo() -> Router {
    Router::new().fallback(|request: Request| async move {
        let headers: BTreeMap<String, String> = request
            .headers()
            .iter()
            .map(|(k, v)| (k.to_string(), v.to_str().unwrap_or("").to_owned()))
            .collect();
        let told = json!({"method": request.method().as_str(), "uri": request.uri().to_string(), "headers": headers});
        (StatusCode::CREATED, Json(told))
    })
}

struct Door {
    api: Router,
    kit: Kit,
    identity: Identity,
}

async fn door(order: Vec<String>) -> Door {
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
    Door {
        api: shop_gateway::router(&kit, &Arc::new(RateLimits::new(Limits::default()))),
        kit,
        identity,
    }
}

async fn call(door: &Door, ask: Ask) -> (StatusCode, Value) {
    ask.send(&door.api).await
}

#[tokio::test]
async fn a_request_is_passed_on_as_it_came_with_trace_and_deadline() {
    let door = door(Vec::new()).await;
    let ask =
        ask_get("/products?category=toys&limit=3").header("baggage", "synthetic_request=true");
    let (status, told) = call(&door, ask).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(told["uri"], "/products?category=toys&limit=3");
    let left: u64 = told["headers"]["x-deadline-ms"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=5000).contains(&left), "{left}");
}

#[tokio::test]
async fn nobody_outside_gets_more_time_than_everyone_or_a_series_of_their_own() {
    let door = door(Vec::new()).await;
    let (_, told) = call(&door, ask_get("/products").header("x-deadline-ms", "60000")).await;
    let left = told["headers"]["x-deadline-ms"].as_str().unwrap();
    assert!(left.parse::<u64>().unwrap() <= 5000, "{left}");
    let made_up = Method::from_bytes(b"A1").unwrap();
    let (status, _) = call(&door, Ask::new(made_up, "/products")).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    let metrics = door.kit.metrics().render();
    assert!(!metrics.contains("\"A1\"") && metrics.contains("\"_OTHER\""));
}

#[tokio::test]
async fn what_only_services_may_say_does_not_pass_the_door() {
    let door = door(Vec::new()).await;
    let ask = ask_get("/products")
        .header("x-service-key", "guessed")
        .header("x-made-up", "1");
    let (_, told) = call(&door, ask).await;
    assert_ne!(told["headers"]["x-service-key"], "guessed");
    assert_eq!(told["headers"]["x-made-up"], Value::Null);
}

#[tokio::test]
async fn inner_paths_do_not_exist_outside() {
    let door = door(Vec::new()).await;
    let token = door.identity.token("u-1");
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
        let (status, _) = call(&door, Ask::new(method.clone(), path).with_token(&token)).await;
        let hidden = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];
        assert!(hidden.contains(&status), "{method} {path}: {status}");
    }
}

#[tokio::test]
async fn a_token_is_checked_at_the_door() {
    let door = door(Vec::new()).await;
    assert_eq!(
        call(&door, ask_get("/cart")).await.0,
        StatusCode::UNAUTHORIZED
    );
    let forged = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1In0.";
    let (status, problem) = call(&door, ask_get("/cart").with_token(forged)).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(problem["type"], "urn:doorbuster:problem:unauthorized");
    let good = door.identity.token("u-1");
    let (status, told) = call(&door, ask_get("/cart").with_token(&good)).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(told["headers"]["authorization"], format!("Bearer {good}"));
}

#[tokio::test]
async fn a_dead_replica_costs_an_attempt_and_not_the_order() {
    // Reserved and never listened on: every connection to it is refused, as to a killed process.
    let dead = Lease::take(([127, 0, 0, 1], 0).into()).unwrap();
    let door = door(vec![dead.address().to_string(), serve(echo()).await]).await;
    let token = door.identity.token("u-1");
    for n in 0..20 {
        let ask = ask_post("/orders", json!({"card": "tok_good"}));
        let (status, body) = call(&door, ask.with_key(&n.to_string()).with_token(&token)).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
    }
    let metrics = door.kit.metrics().render();
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
async fn what_may_have_taken_effect_is_repeated_only_under_a_key() {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let failing = Router::new().fallback(move || {
        let count = Arc::clone(&count);
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    });
    let door = door(vec![serve(failing).await]).await;
    let token = door.identity.token("u-1");
    let ask = || ask_post("/orders", json!({"card": "tok_good"})).with_token(&token);
    assert_eq!(
        call(&door, ask()).await.0,
        StatusCode::INTERNAL_SERVER_ERROR
    );
    assert_eq!(asked.load(Ordering::SeqCst), 1, "without a key: once");
    call(&door, ask().with_key("k")).await;
    assert_eq!(
        asked.load(Ordering::SeqCst),
        4,
        "with a key: three attempts more"
    );
}

#[tokio::test]
async fn while_keys_cannot_be_had_a_token_is_neither_good_nor_bad() {
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
