//! A page with the stock of this moment, and the page that comes when inventory is not well.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use shop_contract::headers::SHED;
use shop_contract::inventory::Stock;
use shop_kit::clock::WallClock;
use shop_kit::config::ServiceConfig;
use shop_kit::net::Lease;
use shop_testkit::serve;

use crate::shop::{Shop, metric, stocked};

/// The behavior of the fake inventory.
#[derive(Clone, Copy)]
enum Behavior {
    Has(i64),
    KnowsNothing,
    Hangs,
    Sheds,
    Breaks,
}

#[derive(Clone)]
struct Inventory {
    behavior: Arc<Mutex<Behavior>>,
    asked: Arc<Mutex<BTreeMap<String, u32>>>,
}

impl Inventory {
    fn now(&self, behavior: Behavior) {
        *self.behavior.lock().unwrap() = behavior;
    }

    fn asked(&self) -> u32 {
        self.asked.lock().unwrap().values().sum()
    }
}

async fn stock(State(inventory): State<Inventory>, Path(product_id): Path<String>) -> Response {
    *inventory
        .asked
        .lock()
        .unwrap()
        .entry(product_id.clone())
        .or_default() += 1;
    let behavior = *inventory.behavior.lock().unwrap();
    match behavior {
        Behavior::Has(available) => Json(Stock {
            product_id,
            available,
        })
        .into_response(),
        Behavior::KnowsNothing => StatusCode::NOT_FOUND.into_response(),
        Behavior::Hangs => pending().await,
        Behavior::Sheds => (StatusCode::SERVICE_UNAVAILABLE, [(SHED, "1")]).into_response(),
        Behavior::Breaks => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// A shop whose view has p-00001 sold out since 10, with an inventory of this behavior.
async fn shop(behavior: Behavior) -> (Shop, Inventory) {
    shop_with(behavior, |_| {}).await
}

async fn shop_with(behavior: Behavior, other: fn(&mut ServiceConfig)) -> (Shop, Inventory) {
    let inventory = Inventory {
        behavior: Arc::new(Mutex::new(behavior)),
        asked: Arc::default(),
    };
    let router = Router::new()
        .route("/stock/{product_id}", get(stock))
        .with_state(inventory.clone());
    let shop = Shop::open_with(serve(router).await, other).await;
    know(&shop).await;
    (shop, inventory)
}

async fn know(shop: &Shop) {
    let event = stocked("e-1", 10, &[("p-00001", 0, 1)]);
    assert_eq!(shop.deliver(&event, None).await, StatusCode::NO_CONTENT);
}

/// The page's availability. The page must come, and soon.
async fn availability(shop: &Shop) -> Value {
    // Longer than a page waits for inventory on the busiest machine, shorter than the five seconds of a request.
    let soon = Duration::from_secs(4);
    let page = tokio::time::timeout(soon, shop.get("/products/p-00001")).await;
    let (status, mut page) = page.expect("a page behavior not wait for inventory");
    assert_eq!(status, StatusCode::OK, "{page}");
    assert!(page["title"].is_string());
    page["availability"].take()
}

/// Reads the page until it is as expected. On a machine that stalls, an answer may be late now and then.
async fn until(shop: &Shop, expected: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..100 {
        let shown = availability(shop).await;
        if expected(&shown) {
            return shown;
        }
        assert_eq!(shown, view(), "neither what is expected nor the view");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("inventory's word never came");
}

/// Reads the page, which shows the view, until that is for this reason.
async fn until_degraded(shop: &Shop, reason: &str) {
    for _ in 0..100 {
        assert_eq!(availability(shop).await, view());
        if degraded(shop, reason) > 0.0 {
            return;
        }
    }
    panic!("no page was degraded because of {reason}");
}

fn view() -> Value {
    json!({"band": "sold-out", "source": "view", "as_of_ms": 10})
}

fn degraded(shop: &Shop, reason: &str) -> f64 {
    metric(shop, "shop_degraded_answers_total", &[("reason", reason)])
}

#[tokio::test]
async fn a_page_shows_the_live_stock() {
    let (shop, inventory) = shop(Behavior::Has(3)).await;
    for (pieces, band) in [(3, "few-left"), (500, "in-stock"), (0, "sold-out")] {
        inventory.now(Behavior::Has(pieces));
        let before = WallClock::default().unix_ms();
        let shown = until(&shop, |shown| shown["source"] == "live").await;
        assert_eq!(shown["pieces"], pieces);
        assert_eq!(shown["band"], band);
        let as_of = shown["as_of_ms"].as_i64().unwrap();
        assert!((before..=WallClock::default().unix_ms()).contains(&as_of));
    }
}

#[tokio::test]
async fn a_product_unknown_to_inventory_has_no_availability() {
    let (shop, _) = shop(Behavior::KnowsNothing).await;
    until(&shop, Value::is_null).await;
    assert_eq!(degraded(&shop, "failed"), 0.0, "it is an answer");
}

#[tokio::test]
async fn a_page_is_served_while_inventory_hangs_fails_or_sheds() {
    for (behavior, reason) in [
        (Behavior::Hangs, "timeout"),
        (Behavior::Breaks, "failed"),
        (Behavior::Sheds, "shed"),
    ] {
        let (shop, inventory) = shop(behavior).await;
        assert_eq!(degraded(&shop, reason), 0.0, "{reason} is declared");
        until_degraded(&shop, reason).await;
        assert!(inventory.asked() > 0);
    }
}

#[tokio::test]
async fn the_breaker_opens_for_an_inventory_that_is_down_and_pages_are_served() {
    let lease = Lease::take(([127, 0, 0, 1], 0).into()).unwrap();
    let shop = Shop::open_beside(lease.address().to_string()).await;
    know(&shop).await;
    until_degraded(&shop, "unreachable").await;
    until_degraded(&shop, "breaker_open").await;
}

#[tokio::test]
async fn the_breaker_opens_for_an_inventory_that_hangs() {
    let (shop, inventory) = shop(Behavior::Hangs).await;
    until_degraded(&shop, "breaker_open").await;
    assert!(inventory.asked() < 50, "pages wait in vain");
}

#[tokio::test]
async fn pages_are_served_without_an_address_of_inventory() {
    let shop = Shop::open().await;
    know(&shop).await;
    until_degraded(&shop, "unreachable").await;
}

#[tokio::test]
async fn the_view_does_not_ask_inventory() {
    let (shop, inventory) = shop(Behavior::Has(3)).await;
    let (status, page) = shop.get("/products/p-00001?stock=view").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(page["availability"], view());
    shop.get("/products/p-99999").await;
    shop.all("limit=100").await;
    shop.found("steel").await;
    assert_eq!(inventory.asked(), 0);
    let (status, problem) = shop.get("/products/p-00001?stock=yes").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
}

#[tokio::test]
async fn without_fallbacks_a_page_without_a_live_stock_fails() {
    let (shop, inventory) = shop_with(Behavior::Has(3), |c| c.resilience.fallbacks = false).await;
    let pieces = until(&shop, |shown| shown["pieces"] == 3).await;
    assert_eq!(pieces["source"], "live");
    inventory.now(Behavior::Breaks);
    let (status, problem) = shop.get("/products/p-00001").await;
    assert!(status.is_server_error(), "{status} {problem}");
}
