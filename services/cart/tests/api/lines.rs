//! Putting products in and taking them out.

use axum::http::{Method, StatusCode};
use serde_json::json;
use shop_cart::cart::MAX_LINES;
use shop_testkit::{Ask, ask_get};

use crate::shop::Shop;

#[tokio::test]
async fn a_cart_begins_empty_and_adds_up_what_is_put_in() {
    let shop = Shop::open().await;
    let empty = json!({"items": [], "total": {"minor": 0, "currency": "EUR"}});
    assert_eq!(shop.cart("ada").await, empty);
    shop.set("ada", "p-00002", 2).await;
    let (status, cart) = shop.set("ada", "p-00001", 1).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(cart["total"]["minor"], 3 * 1999);
    assert_eq!(cart["items"].as_array().unwrap().len(), 2);
    assert_eq!(shop.cart("ada").await, cart);
}

#[tokio::test]
async fn a_line_keeps_title_and_price_as_they_were_shown() {
    let shop = Shop::open().await;
    let (_, shown) = shop.set("ada", "p-00001", 1).await;
    assert_eq!(shown["items"][0]["title"], "Kettle p-00001");
    shop.price(2999);
    assert_eq!(shop.cart("ada").await, shown);
    let (_, again) = shop.set("ada", "p-00001", 2).await;
    assert_eq!(again["items"].as_array().unwrap().len(), 1);
    assert_eq!(again["items"][0]["quantity"], 2);
    assert_eq!(again["total"]["minor"], 2 * 2999);
}

#[tokio::test]
async fn removing_a_line_twice_is_no_error() {
    let shop = Shop::open().await;
    shop.set("ada", "p-00001", 1).await;
    let (_, kept) = shop.set("ada", "p-00002", 1).await;
    let first = shop.delete("ada", "p-00001").await;
    assert_eq!(first.0, StatusCode::OK);
    assert_eq!(first.1["items"], json!([kept["items"][1]]));
    assert_eq!(shop.delete("ada", "p-00001").await, first);
}

#[tokio::test]
async fn the_cart_of_another_shopper_can_neither_be_read_nor_changed() {
    let shop = Shop::open().await;
    shop.set("ada", "p-00001", 3).await;
    let adas = shop.cart("ada").await;
    assert_eq!(shop.cart("eve").await["items"], json!([]));
    shop.delete("eve", "p-00001").await;
    shop.set("eve", "p-00001", 1).await;
    assert_eq!(shop.cart("ada").await, adas);
    let (status, _) = ask_get("/cart").send(&shop.api).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_unknown_product_cannot_be_added() {
    let shop = Shop::open().await;
    let (status, problem) = shop.set("ada", "unknown", 1).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{problem}");
    assert_eq!(shop.cart("ada").await["items"], json!([]));
}

#[tokio::test]
async fn an_id_cannot_reach_another_path_of_the_product_service() {
    let shop = Shop::open().await;
    for id in ["..%2Fproducts%2Fp-00001", "p-00001%3Fa=b", "p-00001%2F"] {
        let (status, _) = shop.set("ada", id, 1).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{id}");
    }
    assert!(shop.asked().is_empty(), "{:?}", shop.asked());
}

#[tokio::test]
async fn nothing_is_added_while_the_product_service_is_down() {
    let shop = Shop::without_products().await;
    let (status, problem) = shop.set("ada", "p-00001", 1).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    assert_eq!(shop.cart("ada").await["items"], json!([]));
}

#[tokio::test]
async fn nothing_is_added_while_the_product_service_fails() {
    let shop = Shop::open().await;
    let (status, problem) = shop.set("ada", "broken", 1).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    assert_eq!(shop.cart("ada").await["items"], json!([]));
}

#[tokio::test]
async fn a_line_has_one_to_twenty_pieces() {
    let shop = Shop::open().await;
    for n in [0, 21] {
        let (status, _) = shop.set("ada", "p-00001", n).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{n}");
    }
    assert_eq!(shop.set("ada", "p-00001", 20).await.0, StatusCode::OK);
    let words = Ask::new(Method::PUT, "/cart/items/p-00001").json(json!({"quantity": "many"}));
    let (status, _) = shop.send("ada", words).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_full_cart_accepts_no_new_line_but_more_pieces_of_one() {
    let shop = Shop::open().await;
    for n in 0..MAX_LINES {
        let (status, _) = shop.set("ada", &format!("p-{n}"), 1).await;
        assert_eq!(status, StatusCode::OK);
    }
    let (status, _) = shop.set("ada", "p-more", 1).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let (status, cart) = shop.set("ada", "p-0", 2).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(cart["items"].as_array().unwrap().len(), MAX_LINES);
}
