//! Stock that is held, leaves or goes back.

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use serde_json::json;
use shop_testkit::{ask_get, ask_post, check_document};

use crate::shop::Shop;

#[tokio::test]
async fn stock_is_held_then_committed_and_each_request_counts_once() {
    let shop = Shop::open().await;
    assert_eq!(
        shop.reserve("o-1", "p-00001", 3).await.0,
        StatusCode::CREATED
    );
    assert_eq!(shop.reserve("o-1", "p-00001", 3).await.0, StatusCode::OK);
    assert_eq!(shop.available("p-00001").await, 7);
    for _ in 0..2 {
        let (status, body) = shop.settle(Method::POST, "/reservations/o-1/commit").await;
        assert_eq!(
            (status, &body["status"]),
            (StatusCode::OK, &json!("committed"))
        );
    }
    assert_eq!(shop.sums().await, (197, 0, 3));
    let (status, body) = shop.settle(Method::DELETE, "/reservations/o-1").await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(body["type"], "urn:doorbuster:problem:reservation-committed");
}

#[tokio::test]
async fn released_stock_goes_back_once() {
    let shop = Shop::open().await;
    shop.reserve("o-1", "p-00002", 4).await;
    for _ in 0..2 {
        let (status, _) = shop.settle(Method::DELETE, "/reservations/o-1").await;
        assert_eq!(status, StatusCode::OK);
    }
    assert_eq!(shop.sums().await, (200, 0, 0));
}

#[tokio::test]
async fn a_reservation_that_cannot_be_complete_holds_nothing() {
    let shop = Shop::open().await;
    let body = json!({"id": "o-1", "items": [
        {"product_id": "p-00001", "quantity": 5},
        {"product_id": "p-00002", "quantity": 11},
    ]});
    let (status, problem) = ask_post("/reservations", body)
        .as_service()
        .send(&shop.api)
        .await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(problem["type"], "urn:doorbuster:problem:out-of-stock");
    assert_eq!(shop.sums().await, (200, 0, 0));
    // The id is free again: the shopper may try again with less.
    assert_eq!(
        shop.reserve("o-1", "p-00001", 5).await.0,
        StatusCode::CREATED
    );
}

#[tokio::test]
async fn a_release_refuses_a_reservation_that_comes_later() {
    let shop = Shop::open().await;
    assert_eq!(
        shop.settle(Method::DELETE, "/reservations/o-9").await.0,
        StatusCode::OK
    );
    let (status, problem) = shop.reserve("o-9", "p-00001", 1).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(
        problem["type"],
        "urn:doorbuster:problem:reservation-released"
    );
    assert_eq!(shop.sums().await, (200, 0, 0));
}

#[tokio::test]
async fn twenty_buyers_of_the_last_ten_leave_none_below_zero() {
    let shop = Arc::new(Shop::open().await);
    let mut buyers = tokio::task::JoinSet::new();
    for n in 0..20 {
        let shop = Arc::clone(&shop);
        buyers.spawn(async move { shop.reserve(&format!("o-{n}"), "p-00003", 1).await.0 });
    }
    let outcomes = buyers.join_all().await;
    let got = outcomes
        .iter()
        .filter(|s| **s == StatusCode::CREATED)
        .count();
    let none = outcomes
        .iter()
        .filter(|s| **s == StatusCode::CONFLICT)
        .count();
    assert_eq!((got, none), (10, 10), "{outcomes:?}");
    assert_eq!(shop.available("p-00003").await, 0);
}

#[tokio::test]
async fn only_services_may_hold_stock() {
    let shop = Shop::open().await;
    let body = json!({"id": "o-1", "items": [{"product_id": "p-00001", "quantity": 1}]});
    let (status, _) = ask_post("/reservations", body).send(&shop.api).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(shop.sums().await, (200, 0, 0));
}

#[tokio::test]
async fn bad_requests_and_unknown_ids_are_refused() {
    let shop = Shop::open().await;
    let (status, problem) = ask_post("/reservations", json!({"id": 3}))
        .as_service()
        .send(&shop.api)
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(problem["type"], "urn:doorbuster:problem:bad-request");
    assert_eq!(
        ask_get("/stock/p-99999").send(&shop.api).await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        shop.reserve("o-1", "p-00001", 0).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let (status, _) = shop.settle(Method::POST, "/reservations/none/commit").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_document_matches_the_router() {
    check_document(&Shop::open().await.api, "inventory").await;
}
