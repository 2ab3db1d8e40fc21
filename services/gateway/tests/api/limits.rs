//! Rate limits: who counts as one client, the form of a refusal, and who is never limited.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request};
use axum::http::{Method, StatusCode, header};
use axum::{Extension, Router};
use governor::clock::FakeRelativeClock;
use http_body_util::BodyExt;
use serde_json::Value;
use shop_contract::Role;
use shop_gateway::rate_limit::{Client, RateLimits, TooSoon};
use shop_gateway::{Allowance, Limits};
use shop_kit::Kit;
use shop_testkit::{Ask, Identity, ask_get, config, serve};
use tower::ServiceExt;

fn limits(limits: Limits) -> (RateLimits<FakeRelativeClock>, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    (RateLimits::with_clock(limits, clock.clone()), clock)
}

fn shopper(id: &str) -> Client {
    Client::Subject(id.to_owned())
}

fn at(address: &str) -> Client {
    Client::at(address.parse().unwrap())
}

/// Two at once, one more each second.
const TIGHT: Limits = Limits {
    per_subject: Allowance::new(1, 2),
    per_address: Allowance::new(1, 2),
};

#[test]
fn after_its_burst_a_client_waits_for_the_stated_time() {
    for client in [shopper("u-1"), at("192.0.2.1")] {
        let (limits, clock) = limits(TIGHT);
        limits.admit(&client).unwrap();
        limits.admit(&client).unwrap();
        let TooSoon { wait } = limits.admit(&client).unwrap_err();
        assert_eq!(wait, Duration::from_secs(1), "{client:?}");
        clock.advance(wait - Duration::from_millis(1));
        let TooSoon { wait } = limits.admit(&client).unwrap_err();
        assert_eq!(wait, Duration::from_millis(1), "a refusal costs nothing");
        clock.advance(wait);
        limits.admit(&client).unwrap();
        assert!(limits.admit(&client).is_err());
    }
}

#[test]
fn clients_have_separate_buckets() {
    let (limits, _) = limits(TIGHT);
    for _ in 0..3 {
        let _ = limits.admit(&shopper("u-1"));
        let _ = limits.admit(&at("192.0.2.1"));
    }
    assert!(limits.admit(&shopper("u-1")).is_err());
    assert!(limits.admit(&at("192.0.2.1")).is_err());
    limits.admit(&shopper("u-2")).unwrap();
    limits.admit(&at("192.0.2.2")).unwrap();
    // A subject may look like an address.
    limits.admit(&shopper("192.0.2.1")).unwrap();
}

#[test]
fn an_address_is_the_same_client_however_it_is_written() {
    assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
    assert_eq!(at("2001:db8:0:1::1"), at("2001:db8:0:1:ffff::2"));
    assert_ne!(at("2001:db8:0:1::1"), at("2001:db8:0:2::1"));
    assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
}

#[test]
fn idle_clients_are_forgotten_and_refused_ones_are_not() {
    let (limits, clock) = limits(TIGHT);
    for n in 0..1000 {
        limits.admit(&shopper(&format!("u-{n}"))).unwrap();
        limits
            .admit(&Client::at(IpAddr::from([10, 0, (n / 256) as u8, n as u8])))
            .unwrap();
    }
    limits.forget_idle();
    assert_eq!(limits.remembered(), 2000, "all of them asked just now");
    clock.advance(Duration::from_secs(10));
    while limits.admit(&shopper("busy")).is_ok() {}
    limits.forget_idle();
    assert_eq!(limits.remembered(), 1);
    assert!(limits.admit(&shopper("busy")).is_err());
}

/// A load run: all of it from one address, each shopper with its own token, at ten times the usual rate.
#[test]
fn the_default_limits_allow_a_load_run_from_one_address() {
    const PER_SECOND: u32 = 6000;
    let (limits, clock) = limits(Limits::default());
    for n in 0..PER_SECOND * 20 {
        clock.advance(Duration::from_secs(1) / PER_SECOND);
        let client = match n % 3 {
            0 => shopper(&format!("u-{}", n % 300)),
            _ => at("127.0.0.1"),
        };
        limits.admit(&client).unwrap();
    }
}

struct LimitedGateway {
    api: Router,
    kit: Kit,
    identity: Identity,
    clock: FakeRelativeClock,
}

/// A gateway with these limits, for a client at `192.0.2.1`.
async fn limited_gateway(limited: Limits) -> LimitedGateway {
    let identity = Identity::start().await;
    let everyone = serve(Router::new().fallback(|| async { StatusCode::CREATED })).await;
    let mut peers: BTreeMap<Role, Vec<String>> =
        Role::ALL.map(|r| (r, vec![everyone.clone()])).into();
    peers.insert(Role::User, vec![identity.address.clone()]);
    let kit = Kit::new(config(Role::Gateway, &std::env::temp_dir(), peers));
    let (limits, clock) = limits(limited);
    let peer = SocketAddr::from(([192, 0, 2, 1], 4711));
    let api = shop_gateway::router(&kit, &Arc::new(limits)).layer(Extension(ConnectInfo(peer)));
    LimitedGateway {
        api,
        kit,
        identity,
        clock,
    }
}

impl LimitedGateway {
    async fn asks(&self, ask: Ask) -> StatusCode {
        ask.send(&self.api).await.0
    }

    fn refused(&self, reason: &str) -> u64 {
        let series = format!(
            "shop_requests_shed_total{{service_name=\"gateway\",service_instance_id=\"gateway-0\",reason=\"{reason}\"}} "
        );
        let metrics = self.kit.metrics().render();
        let line = metrics.lines().find_map(|l| l.strip_prefix(&series));
        line.unwrap_or_else(|| panic!("no {series} in:\n{metrics}"))
            .parse()
            .unwrap()
    }
}

#[tokio::test]
async fn a_rate_limited_shopper_gets_a_retry_after() {
    let gateway = limited_gateway(TIGHT).await;
    let token = gateway.identity.token("u-1");
    let other = gateway.identity.token("u-2");
    let cart = || ask_get("/cart").with_token(&token);
    assert_eq!(gateway.asks(cart()).await, StatusCode::CREATED);
    assert_eq!(gateway.asks(cart()).await, StatusCode::CREATED);
    let mut request = Request::new(axum::body::Body::empty());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = "/cart".parse().unwrap();
    let bearer = format!("Bearer {token}").parse().unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, bearer);
    let answer = gateway.api.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.headers()[header::RETRY_AFTER], "1");
    assert!(
        !answer.headers().contains_key("x-shed"),
        "it is not the shop that has too much to do"
    );
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let problem: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["type"], "urn:doorbuster:problem:rate-limited");
    assert_eq!(problem["status"], 429);
    let theirs = ask_get("/cart").with_token(&other);
    assert_eq!(gateway.asks(theirs).await, StatusCode::CREATED);
    gateway.clock.advance(Duration::from_secs(1));
    assert_eq!(gateway.asks(cart()).await, StatusCode::CREATED);
}

#[tokio::test]
async fn refusals_are_counted_from_zero() {
    let gateway = limited_gateway(TIGHT).await;
    for reason in ["full", "reserved", "rate_limited"] {
        assert_eq!(gateway.refused(reason), 0, "{reason}");
    }
    for _ in 0..5 {
        gateway.asks(ask_get("/products")).await;
    }
    assert_eq!(gateway.refused("rate_limited"), 3);
    assert_eq!(gateway.refused("full"), 0);
}

#[tokio::test]
async fn guesses_at_tokens_count_against_the_address_and_not_against_the_shopper() {
    let gateway = limited_gateway(TIGHT).await;
    let good = gateway.identity.token("u-1");
    let guess = || ask_get("/cart").with_token(&good[..good.len() - 4]);
    assert_eq!(gateway.asks(guess()).await, StatusCode::UNAUTHORIZED);
    assert_eq!(
        gateway.asks(ask_get("/cart")).await,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(gateway.asks(guess()).await, StatusCode::TOO_MANY_REQUESTS);
    let browse = gateway.asks(ask_get("/products")).await;
    assert_eq!(browse, StatusCode::TOO_MANY_REQUESTS, "the same address");
    let shopper = ask_get("/cart").with_token(&good);
    assert_eq!(gateway.asks(shopper).await, StatusCode::CREATED);
}

#[tokio::test]
async fn forwarding_headers_do_not_change_the_client() {
    let gateway = limited_gateway(TIGHT).await;
    let browse = |from: &str| {
        ask_get("/products")
            .header("x-forwarded-for", from)
            .header("forwarded", &format!("for={from}"))
    };
    gateway.asks(browse("198.51.100.1")).await;
    gateway.asks(browse("198.51.100.2")).await;
    let third = gateway.asks(browse("198.51.100.3")).await;
    assert_eq!(third, StatusCode::TOO_MANY_REQUESTS);
}
