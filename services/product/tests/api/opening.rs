//! How a shop is stocked: alike from the same seed, once, and by however many replicas open it.

use serde_json::json;
use shop_contract::product::Product;

use crate::shop::{PRODUCTS, Shop};

async fn catalogue(shop: &Shop) -> Vec<Product> {
    shop.all("sort=new&limit=100").await
}

#[tokio::test]
async fn the_same_seed_gives_the_same_catalogue_and_another_seed_another() {
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let a = Shop::open_in(folders[0].path(), 7, PRODUCTS).await;
    let b = Shop::open_in(folders[1].path(), 7, PRODUCTS).await;
    let c = Shop::open_in(folders[2].path(), 8, PRODUCTS).await;
    assert_eq!(catalogue(&a).await, catalogue(&b).await);
    assert_ne!(catalogue(&a).await, catalogue(&c).await);
}

#[tokio::test]
async fn a_restart_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let before = Shop::open_in(folder.path(), 7, PRODUCTS).await;
    let old = before.product("p-00001").await.title.replace(' ', "+");
    before
        .put("p-00001", Some("admin"), json!({"title": "Zeppelin"}))
        .await;
    let held = catalogue(&before).await;
    drop(before);
    let after = Shop::open_in(folder.path(), 7, PRODUCTS).await;
    assert_eq!(catalogue(&after).await, held);
    assert!(after.found(&old).await.iter().all(|p| p.id != "p-00001"));
}

#[tokio::test]
async fn a_larger_shop_has_the_same_products_and_some_more() {
    let folder = tempfile::tempdir().unwrap();
    let small = Shop::open_in(folder.path(), 7, 100).await;
    let mut held = catalogue(&small).await;
    let large = Shop::open_in(folder.path(), 7, PRODUCTS).await;
    let mut all = catalogue(&large).await;
    assert_eq!(all.len() as u64, PRODUCTS);
    held.sort_by(|a, b| a.id.cmp(&b.id));
    all.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(all[..100], held);
    assert_eq!(all[99].id, "p-00100");
}

#[tokio::test]
async fn replicas_that_open_a_new_shop_at_once_stock_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Shop::open_in(folder.path(), 7, PRODUCTS);
    let (a, b) = tokio::join!(open(), open());
    let all = catalogue(&a).await;
    assert_eq!(all.len() as u64, PRODUCTS);
    assert_eq!(catalogue(&b).await, all);
}
