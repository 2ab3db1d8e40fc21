//! Leafing through the catalogue.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use shop_contract::product::{CATEGORIES, Product};

use crate::shop::{PRODUCTS, Shop};

fn ids(products: &[Product]) -> BTreeSet<&str> {
    products.iter().map(|p| p.id.as_str()).collect()
}

#[tokio::test]
async fn the_pages_of_a_list_show_every_product_exactly_once_in_order() {
    let shop = Shop::open().await;
    // Among 250 products many have sold the same number: equal keys must be sorted too.
    for (query, key) in [
        (
            "sort=new&limit=7",
            (|p| p.added_at_ms) as fn(&Product) -> i64,
        ),
        ("sort=best&limit=7", |p| p.sold),
        ("sort=best&limit=100", |p| p.sold),
    ] {
        let all = shop.all(query).await;
        assert_eq!(all.len() as u64, PRODUCTS, "{query}");
        assert_eq!(ids(&all).len() as u64, PRODUCTS, "{query}");
        assert!(
            all.is_sorted_by_key(|p| std::cmp::Reverse(key(p))),
            "{query}"
        );
    }
}

#[tokio::test]
async fn every_product_is_in_one_category() {
    let shop = Shop::open().await;
    let mut seen = 0;
    for category in CATEGORIES {
        for sort in ["new", "best"] {
            let all = shop
                .all(&format!("category={category}&sort={sort}&limit=3"))
                .await;
            assert!(all.iter().all(|p| p.category == category));
            assert_eq!(ids(&all).len(), all.len());
            seen += all.len();
        }
    }
    assert_eq!(seen as u64, 2 * PRODUCTS);
}

#[tokio::test]
async fn the_last_page_has_no_cursor() {
    let shop = Shop::open().await;
    let mut page = shop.page("limit=50").await;
    for _ in 0..4 {
        assert_eq!(page.items.len(), 50);
        page = shop
            .page(&format!("limit=50&cursor={}", page.next.unwrap()))
            .await;
    }
    assert_eq!((page.items.len(), page.next), (50, None));
}

#[tokio::test]
async fn the_default_list_is_the_newest_twenty() {
    let shop = Shop::open().await;
    let page = shop.page("").await;
    assert_eq!(page.items.len(), 20);
    assert_eq!(page, shop.page("sort=new&limit=20").await);
}

#[tokio::test]
async fn invalid_lists_are_refused() {
    let shop = Shop::open().await;
    let cursor = shop.page("sort=new").await.next.unwrap();
    for query in [
        "category=boats".to_owned(),
        "sort=cheap".to_owned(),
        "cursor=broken".to_owned(),
        format!("sort=best&cursor={cursor}"),
    ] {
        let (status, problem) = shop.get(&format!("/products?{query}")).await;
        assert_eq!(
            status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{query}: {problem}"
        );
        assert_eq!(problem["type"], "urn:doorbuster:problem:invalid");
    }
    for limit in ["0", "101", "-1", "few", ""] {
        let (status, problem) = shop.get(&format!("/products?limit={limit}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{limit}: {problem}");
        assert_eq!(problem["type"], "urn:doorbuster:problem:bad-request");
    }
}

#[tokio::test]
async fn a_product_has_a_page_of_its_own() {
    let shop = Shop::open().await;
    let listed = shop.page("limit=1").await.items.remove(0);
    assert_eq!(shop.product(&listed.id).await, listed);
    let (status, _) = shop.get("/products/p-99999").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}
