//! What a shopper sees.

use axum::http::StatusCode;
use serde_json::json;
use shop_testkit::{ask_get, ask_post};

use crate::shop::Shop;

#[tokio::test]
async fn a_cart_becomes_a_confirmed_order_once() {
    let shop = Shop::open().await;
    let (status, order) = shop.checkout("u-1", "k", "tok_good").await;
    assert_eq!(status, StatusCode::CREATED, "{order}");
    assert_eq!(order["status"], "confirmed");
    assert_eq!(order["total"], json!({"minor": 500, "currency": "EUR"}));
    let (status, again) = shop.checkout("u-1", "k", "tok_good").await;
    assert_eq!((status, &again["id"]), (StatusCode::CREATED, &order["id"]));
    shop.services.with(|s| {
        assert_eq!(s.reservations.values().collect::<Vec<_>>(), [&"committed"]);
        assert_eq!(s.payments.values().collect::<Vec<_>>(), [&"captured"]);
    });
    assert_eq!(shop.list("u-1").await.len(), 1);
}

#[tokio::test]
async fn the_same_key_of_two_shoppers_is_two_orders() {
    let shop = Shop::open().await;
    let (_, one) = shop.checkout("u-1", "k", "tok_good").await;
    let (_, two) = shop.checkout("u-2", "k", "tok_good").await;
    assert_ne!(one["id"], two["id"]);
}

#[tokio::test]
async fn the_same_key_at_the_same_time_is_one_order() {
    let shop = std::sync::Arc::new(Shop::open().await);
    let mut shoppers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let shop = std::sync::Arc::clone(&shop);
        shoppers.spawn(async move { shop.checkout("u-1", "k", "tok_good").await });
    }
    for (status, order) in shoppers.join_all().await {
        assert_eq!(status, StatusCode::CREATED, "{order}");
    }
    assert_eq!(shop.list("u-1").await.len(), 1);
    assert_eq!(shop.services.with(|s| s.payments.len()), 1);
}

#[tokio::test]
async fn a_declined_card_releases_the_stock() {
    let shop = Shop::open().await;
    shop.services.with(|s| s.card_good = false);
    let (status, problem) = shop.checkout("u-1", "k", "tok_declined").await;
    assert_eq!(status, StatusCode::PAYMENT_REQUIRED);
    assert_eq!(problem["type"], "urn:doorbuster:problem:card-declined");
    assert_eq!(shop.settle("u-1").await, "cancelled");
    assert_eq!(problem["order_id"], shop.list("u-1").await[0]["id"]);
    shop.services
        .with(|s| assert_eq!(s.reservations.values().collect::<Vec<_>>(), [&"released"]));
}

#[tokio::test]
async fn a_sold_out_product_is_not_charged() {
    let shop = Shop::open().await;
    shop.services.with(|s| s.in_stock = false);
    let (status, problem) = shop.checkout("u-1", "k", "tok_good").await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(problem["type"], "urn:doorbuster:problem:out-of-stock");
    assert!(shop.services.with(|s| s.payments.is_empty()));
}

#[tokio::test]
async fn an_empty_cart_a_missing_key_and_a_reused_key_are_refused() {
    let shop = Shop::open().await;
    let token = shop.identity.token("u-1");
    let without_key = ask_post("/orders", json!({"card": "tok_good"})).with_token(&token);
    assert_eq!(without_key.send(&shop.api).await.0, StatusCode::BAD_REQUEST);
    shop.checkout("u-1", "k", "tok_good").await;
    let (status, problem) = shop.checkout("u-1", "k", "tok_other").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["type"], "urn:doorbuster:problem:key-reused");
    shop.services.with(|s| s.cart.clear());
    let (status, problem) = shop.checkout("u-1", "k2", "tok_good").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["type"], "urn:doorbuster:problem:empty-cart");
}

#[tokio::test]
async fn an_order_is_shown_to_its_buyer_only() {
    let shop = Shop::open().await;
    let (_, order) = shop.checkout("u-1", "k", "tok_good").await;
    let path = format!("/orders/{}", order["id"].as_str().unwrap());
    let (owner, other) = (shop.identity.token("u-1"), shop.identity.token("u-2"));
    assert_eq!(
        ask_get(&path).with_token(&owner).send(&shop.api).await.0,
        StatusCode::OK
    );
    assert_eq!(
        ask_get(&path).with_token(&other).send(&shop.api).await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        ask_get(&path).send(&shop.api).await.0,
        StatusCode::UNAUTHORIZED
    );
    assert!(shop.list("u-2").await.is_empty());
}
