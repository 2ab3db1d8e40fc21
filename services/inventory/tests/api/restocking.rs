//! Restocking by an administrator.

use axum::http::StatusCode;
use serde_json::json;
use shop_testkit::slug;

use crate::shop::Shop;

#[tokio::test]
async fn restocking_sets_what_can_be_reserved_and_leaves_what_is_held() {
    let shop = Shop::open().await;
    shop.reserve("o-1", "p-00001", 3).await;
    for _ in 0..2 {
        let body = json!({"available": 50});
        let (status, stock) = shop.restock("p-00001", Some("admin"), body).await;
        assert_eq!(status, StatusCode::OK, "{stock}");
        assert_eq!(stock, json!({"product_id": "p-00001", "available": 50}));
    }
    assert_eq!(shop.available("p-00001").await, 50);
    assert_eq!(shop.sums().await, (240, 3, 0));
    assert_eq!(shop.release("o-1").await, StatusCode::OK);
    assert_eq!(shop.available("p-00001").await, 53);
    shop.restock("p-00001", Some("admin"), json!({"available": 0}))
        .await;
    let (status, _) = shop.reserve("o-2", "p-00001", 1).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(shop.sums().await, (190, 0, 0));
}

#[tokio::test]
async fn only_administrators_restock_and_only_valid_quantities() {
    let shop = Shop::open().await;
    let some = json!({"available": 50});
    for (role, product, body, expected, kind) in [
        (None, "p-00001", some.clone(), 401, "unauthorized"),
        (Some("customer"), "p-00001", some.clone(), 403, "forbidden"),
        (Some("admin"), "p-99999", some.clone(), 404, "not-found"),
        (
            Some("admin"),
            "p-00001",
            json!({"available": -1}),
            422,
            "invalid",
        ),
        (
            Some("admin"),
            "p-00001",
            json!({"available": 1_000_001}),
            422,
            "invalid",
        ),
        (Some("admin"), "p-00001", json!({}), 400, "bad-request"),
    ] {
        let (status, problem) = shop.restock(product, role, body).await;
        assert_eq!(status.as_u16(), expected, "{problem}");
        assert_eq!(slug(&problem), kind);
    }
    assert_eq!(shop.sums().await, (200, 0, 0));
    assert_eq!(shop.later_events().await, []);
}
