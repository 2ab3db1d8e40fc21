//! What is read from memory, and how soon it learns of a change.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use shop_contract::inventory::Band;
use shop_contract::product::ProductPage;
use shop_testkit::ask_get;
use tokio::task::JoinSet;

use crate::shop::{PRODUCTS, Shop, confirmed, metric, stocked};

/// Hits and misses.
fn requests(shop: &Shop, cache: &str) -> (f64, f64) {
    let of = |result| {
        let labels = [("cache", cache), ("result", result)];
        metric(shop, "shop_cache_requests_total", &labels)
    };
    (of("hit"), of("miss"))
}

#[tokio::test]
async fn the_cache_metrics_exist_before_the_first_request() {
    let shop = Shop::open().await;
    for cache in ["pages", "lists", "searches"] {
        assert_eq!(requests(&shop, cache), (0.0, 0.0), "{cache}");
        let entries = metric(&shop, "shop_cache_entries", &[("cache", cache)]);
        assert_eq!(entries, 0.0);
    }
}

#[tokio::test]
async fn a_repeated_read_is_a_cache_hit() {
    let shop = Shop::open().await;
    for _ in 0..3 {
        shop.viewed("p-00001").await;
    }
    assert_eq!(requests(&shop, "pages"), (2.0, 1.0));
    let (first, second) = (shop.found("steel").await, shop.found("STEEL").await);
    assert_eq!(first, second);
    let (hits, misses) = requests(&shop, "searches");
    assert_eq!(hits + misses, 2.0);
}

#[tokio::test]
async fn only_the_first_page_of_a_list_is_cached() {
    let shop = Shop::open().await;
    let all = shop.all("limit=50").await;
    assert_eq!(all.len() as u64, PRODUCTS);
    let (hits, misses) = requests(&shop, "lists");
    assert_eq!(hits + misses, 1.0);
}

#[tokio::test]
async fn missing_products_are_not_cached() {
    let shop = Shop::open().await;
    for _ in 0..2 {
        let (status, _) = shop.get("/products/p-99999").await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
    assert_eq!(requests(&shop, "pages"), (0.0, 2.0));
}

#[tokio::test]
async fn an_administrators_change_is_visible_at_once_in_all_caches() {
    let shop = Shop::open().await;
    let top = shop.page("limit=1").await.items.remove(0);
    let word = top.title.split(' ').next().unwrap().to_owned();
    shop.viewed(&top.id).await;
    shop.found(&word).await;
    let change = json!({"title": "Zeppelin", "price_minor": 4242});
    let (status, _) = shop.put(&top.id, Some("admin"), change).await;
    assert_eq!(status, StatusCode::OK);
    let page = shop.viewed(&top.id).await;
    assert_eq!((page.title.as_str(), page.price.minor), ("Zeppelin", 4242));
    assert_eq!(shop.page("limit=1").await.items, [page]);
    assert!(shop.found(&word).await.iter().all(|p| p.id != top.id));
}

#[tokio::test]
async fn sales_and_stock_are_visible_at_once_on_cached_pages() {
    let shop = Shop::open().await;
    let before = shop.viewed("p-00001").await;
    shop.deliver(&confirmed("e-1", &[("p-00001", 2)]), None)
        .await;
    shop.deliver(&stocked("e-2", 10, &[("p-00001", 0, 1)]), None)
        .await;
    let after = shop.viewed("p-00001").await;
    assert_eq!(after.sold, before.sold + 2);
    assert_eq!(after.availability.unwrap().band, Band::SoldOut);
}

#[tokio::test]
async fn sales_are_visible_in_cached_lists_when_they_expire() {
    let shop = Shop::open().await;
    let best = async || shop.page("sort=best&limit=1").await.items.remove(0).id;
    let last = shop.all("sort=best&limit=100").await.pop().unwrap().id;
    assert_ne!(best().await, last);
    shop.deliver(&confirmed("e-1", &[(&last, 1_000_000)]), None)
        .await;
    while best().await != last {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn concurrent_reads_of_the_same_list_query_the_database_once() {
    let shop = Shop::open().await;
    let mut crowd = JoinSet::new();
    for _ in 0..40 {
        let api = shop.api.clone();
        crowd.spawn(async move { ask_get("/products?sort=best&limit=5").send(&api).await });
    }
    let answers = crowd.join_all().await;
    let (status, body) = &answers[0];
    assert_eq!(*status, StatusCode::OK);
    let page: ProductPage = serde_json::from_value(body.clone()).unwrap();
    assert_eq!(page.items.len(), 5);
    assert!(answers.iter().all(|answer| answer == &answers[0]));
    let (hits, misses) = requests(&shop, "lists");
    assert_eq!(hits + misses, 40.0);
    let queries = metric(
        &shop,
        "db_client_operation_duration_seconds_count",
        &[("db_operation_name", "list")],
    );
    assert_eq!(queries, misses, "each miss is one query, each hit none");
}
