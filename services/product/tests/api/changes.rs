//! What changes the catalogue: administrators and sales.

use axum::http::StatusCode;
use serde_json::json;

use crate::shop::{Shop, confirmed};

#[tokio::test]
async fn an_administrator_changes_title_and_price() {
    let shop = Shop::open().await;
    let before = shop.product("p-00001").await;
    let (status, changed) = shop
        .put("p-00001", Some("admin"), json!({"price_minor": 4242}))
        .await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    assert_eq!(changed["price"]["minor"], 4242);
    assert_eq!(changed["title"], before.title);
    shop.put(
        "p-00001",
        Some("admin"),
        json!({"title": " Zeppelin Ünder Glass "}),
    )
    .await;
    let after = shop.product("p-00001").await;
    assert_eq!(after.title, "Zeppelin Ünder Glass");
    assert_eq!(after.price.minor, 4242);
    assert_eq!(
        (after.sold, after.description),
        (before.sold, before.description)
    );
}

#[tokio::test]
async fn a_product_is_found_by_its_new_title_and_no_longer_by_its_old_one() {
    let shop = Shop::open().await;
    let before = shop.product("p-00001").await;
    let old = before.title.replace(' ', "+");
    shop.put(
        "p-00001",
        Some("admin"),
        json!({"title": "Zeppelin Ünder Glass"}),
    )
    .await;
    let after = shop.product("p-00001").await;
    for q in [
        "zeppelin".to_owned(),
        "%C3%BCnder+glass".to_owned(),
        format!("zepp+{}", before.category),
    ] {
        assert_eq!(shop.found(&q).await, std::slice::from_ref(&after), "{q}");
    }
    assert!(shop.found(&old).await.iter().all(|p| p.id != "p-00001"));
}

#[tokio::test]
async fn nobody_else_changes_anything() {
    let shop = Shop::open().await;
    let before = shop.product("p-00001").await;
    for (role, expected) in [
        (None, StatusCode::UNAUTHORIZED),
        (Some("customer"), StatusCode::FORBIDDEN),
    ] {
        let (status, _) = shop.put("p-00001", role, json!({"price_minor": 1})).await;
        assert_eq!(status, expected);
    }
    assert_eq!(shop.product("p-00001").await, before);
}

#[tokio::test]
async fn invalid_changes_are_refused() {
    let shop = Shop::open().await;
    let before = shop.product("p-00001").await;
    for change in [json!({"price_minor": 0}), json!({"title": " "})] {
        let (status, problem) = shop.put("p-00001", Some("admin"), change).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    }
    let (status, _) = shop
        .put("p-99999", Some("admin"), json!({"price_minor": 1}))
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(shop.product("p-00001").await, before);
}

#[tokio::test]
async fn sales_count_once_however_often_the_event_comes() {
    let shop = Shop::open().await;
    let sold = async |id: &str| shop.product(id).await.sold;
    let before = (sold("p-00001").await, sold("p-00002").await);
    let event = confirmed(
        "e-1",
        &[
            ("p-00002", 3),
            ("p-00001", 2),
            ("p-00002", 1),
            ("p-99999", 1),
        ],
    );
    for _ in 0..2 {
        assert_eq!(shop.deliver(&event, None).await, StatusCode::NO_CONTENT);
    }
    assert_eq!(sold("p-00001").await, before.0 + 2);
    assert_eq!(sold("p-00002").await, before.1 + 4);
    shop.deliver(&confirmed("e-2", &[("p-00001", 1)]), None)
        .await;
    assert_eq!(sold("p-00001").await, before.0 + 3);
}

#[tokio::test]
async fn the_most_sold_product_is_the_best_seller() {
    let shop = Shop::open().await;
    let last = shop.all("sort=best&limit=100").await.pop().unwrap();
    shop.deliver(&confirmed("e-1", &[(&last.id, 1_000_000)]), None)
        .await;
    let best = shop.page("sort=best&limit=1").await.items.remove(0);
    assert_eq!(best.id, last.id);
}

#[tokio::test]
async fn other_events_and_other_senders_change_nothing() {
    let shop = Shop::open().await;
    let before = shop.product("p-00001").await;
    let cancelled = json!({
        "id": "e-1", "source": "order", "subject": "order-1", "time_ms": 0,
        "type": "order.cancelled",
        "data": {"order_id": "order-1", "user_id": "u-1", "reason": "card-declined"},
    });
    assert_eq!(shop.deliver(&cancelled, None).await, StatusCode::NO_CONTENT);
    let event = confirmed("e-2", &[("p-00001", 1)]);
    assert_eq!(
        shop.deliver(&event, Some("guessed")).await,
        StatusCode::NOT_FOUND
    );
    assert_eq!(shop.product("p-00001").await, before);
}
