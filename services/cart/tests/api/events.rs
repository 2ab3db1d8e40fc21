//! What confirmed orders take out.

use axum::http::StatusCode;
use serde_json::{Value, json};
use shop_kit::clock::WallClock;
use shop_testkit::{ConfirmedOrder, ask_post};

use crate::shop::Shop;

fn confirmed(event_id: &str, user: &str, bought: &[(&str, u32)]) -> Value {
    confirmed_at(WallClock::default().unix_ms(), event_id, user, bought)
}

fn confirmed_at(at_ms: i64, event_id: &str, user_id: &str, bought: &[(&str, u32)]) -> Value {
    let order = ConfirmedOrder {
        event_id,
        user_id,
        at_ms,
        bought,
        ..ConfirmedOrder::default()
    };
    order.event()
}

/// Product and quantity of each line.
async fn held(shop: &Shop, user: &str) -> Vec<(String, u64)> {
    let cart = shop.cart(user).await;
    let items = cart["items"].as_array().unwrap().iter();
    let mut held: Vec<_> = items
        .map(|i| {
            let id = i["product_id"].as_str().unwrap().to_owned();
            (id, i["quantity"].as_u64().unwrap())
        })
        .collect();
    held.sort();
    held
}

#[tokio::test]
async fn bought_pieces_leave_the_buyers_cart_and_the_rest_stays() {
    let shop = Shop::open().await;
    for user in ["ada", "eve"] {
        shop.set(user, "p-1", 3).await;
        shop.set(user, "p-2", 2).await;
        shop.set(user, "p-3", 5).await;
    }
    let event = confirmed("e-1", "ada", &[("p-1", 3), ("p-3", 4), ("p-4", 1)]);
    assert_eq!(shop.deliver(&event).await, StatusCode::NO_CONTENT);
    let left = [("p-2".to_owned(), 2), ("p-3".to_owned(), 1)];
    assert_eq!(held(&shop, "ada").await, left);
    assert_eq!(held(&shop, "eve").await.len(), 3);
}

#[tokio::test]
async fn buying_more_than_the_line_has_removes_the_line() {
    let shop = Shop::open().await;
    shop.set("ada", "p-1", 2).await;
    shop.deliver(&confirmed("e-1", "ada", &[("p-1", 5)])).await;
    assert_eq!(held(&shop, "ada").await, []);
}

#[tokio::test]
async fn an_event_that_comes_twice_counts_once() {
    let shop = Shop::open().await;
    shop.set("ada", "p-1", 5).await;
    let event = confirmed("e-1", "ada", &[("p-1", 2)]);
    for _ in 0..2 {
        assert_eq!(shop.deliver(&event).await, StatusCode::NO_CONTENT);
    }
    assert_eq!(held(&shop, "ada").await, [("p-1".to_owned(), 3)]);
    shop.deliver(&confirmed("e-2", "ada", &[("p-1", 2)])).await;
    assert_eq!(held(&shop, "ada").await, [("p-1".to_owned(), 1)]);
}

#[tokio::test]
async fn a_late_event_keeps_lines_that_were_set_since() {
    let shop = Shop::open().await;
    let before = WallClock::default().unix_ms() - 1000;
    shop.set("ada", "p-1", 5).await;
    shop.deliver(&confirmed_at(before, "e-1", "ada", &[("p-1", 5)]))
        .await;
    assert_eq!(held(&shop, "ada").await, [("p-1".to_owned(), 5)]);
}

#[tokio::test]
async fn a_cancelled_order_leaves_the_cart_as_it_is() {
    let shop = Shop::open().await;
    shop.set("ada", "p-1", 5).await;
    let event = json!({
        "id": "e-1", "source": "order", "subject": "order-1", "time_ms": 0,
        "type": "order.cancelled",
        "data": {"order_id": "order-1", "user_id": "ada", "reason": "card-declined"},
    });
    assert_eq!(shop.deliver(&event).await, StatusCode::NO_CONTENT);
    assert_eq!(held(&shop, "ada").await, [("p-1".to_owned(), 5)]);
}

#[tokio::test]
async fn a_shopper_cannot_deliver_events() {
    let shop = Shop::open().await;
    shop.set("ada", "p-1", 5).await;
    let event = confirmed("e-1", "ada", &[("p-1", 5)]);
    let (status, _) = shop.send("eve", ask_post("/events", event)).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(held(&shop, "ada").await, [("p-1".to_owned(), 5)]);
}
