//! The stock events: which changes are published.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::json;
use shop_contract::events::{Envelope, Event};
use shop_contract::inventory::Band;
use shop_kit::events::{self, Relay};
use shop_testkit::{ask_post, serve};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::shop::Shop;

fn event(subject: &str, product: &str, available: i64) -> (String, String, i64) {
    (subject.to_owned(), product.to_owned(), available)
}

#[tokio::test]
async fn the_opening_stock_is_published_once_per_product() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open_in(folder.path(), 1200, None).await;
    let published = shop.published().await;
    assert!(published.iter().all(|(subject, _)| subject == "opening"));
    let levels: BTreeMap<_, _> = published
        .iter()
        .flat_map(|(_, levels)| levels)
        .map(|l| (l.product_id.as_str(), (l.available, l.version)))
        .collect();
    assert_eq!(levels.len(), 1200);
    assert!(levels.values().all(|l| *l == (10, 1)));
    shop.reserve("o-1", "p-00001", 4).await;
    // A restart publishes nothing again; a larger shop publishes the new products.
    let again = Shop::open_in(folder.path(), 1200, None).await;
    assert_eq!(again.published().await, published);
    let larger = Shop::open_in(folder.path(), 1203, None).await;
    let (_, new) = larger.published().await.pop().unwrap();
    let ids: Vec<_> = new.iter().map(|l| l.product_id.as_str()).collect();
    assert_eq!(ids, ["p-01201", "p-01202", "p-01203"]);
}

#[tokio::test]
async fn only_changes_of_band_are_published() {
    let shop = Shop::open().await;
    shop.reserve("o-1", "p-00001", 3).await;
    assert_eq!(shop.later_events().await, [], "few before, few now");
    shop.reserve("o-2", "p-00001", 7).await;
    let sold_out = event("o-2", "p-00001", 0);
    assert_eq!(shop.later_events().await, std::slice::from_ref(&sold_out));
    shop.reserve("o-2", "p-00001", 7).await;
    shop.reserve("o-3", "p-00001", 1).await;
    shop.settle(axum::http::Method::POST, "/reservations/o-1/commit")
        .await;
    let events = shop.later_events().await.len();
    assert_eq!(
        events, 1,
        "a repetition, a refusal and a commit leave all as it was"
    );
    shop.release("o-2").await;
    shop.release("o-2").await;
    let back = event("o-2", "p-00001", 7);
    assert_eq!(shop.later_events().await, [sold_out.clone(), back.clone()]);
    shop.restock("p-00001", Some("admin"), json!({"available": 11}))
        .await;
    let restocked = event("restock", "p-00001", 11);
    assert_eq!(shop.later_events().await, [sold_out, back, restocked]);
}

#[tokio::test]
async fn an_order_publishes_all_its_products_at_once_and_a_refused_one_none() {
    let shop = Shop::open().await;
    let order = async |id: &str, items: [(&str, u32); 3]| {
        let items = items.map(|(id, n)| json!({"product_id": id, "quantity": n}));
        let body = json!({"id": id, "items": items});
        let ask = ask_post("/reservations", body).as_service();
        ask.send(&shop.api).await.0
    };
    let too_much = [("p-00001", 10), ("p-00002", 1), ("p-00003", 11)];
    assert_eq!(order("o-1", too_much).await, StatusCode::CONFLICT);
    assert_eq!(shop.later_events().await, []);
    let all = [("p-00001", 10), ("p-00002", 1), ("p-00003", 10)];
    assert_eq!(order("o-2", all).await, StatusCode::CREATED);
    let published = [event("o-2", "p-00001", 0), event("o-2", "p-00003", 0)];
    assert_eq!(shop.later_events().await, published);
    assert_eq!(shop.published().await.len(), 2, "the opening and one more");
}

#[tokio::test]
async fn the_newest_published_level_is_right_after_concurrent_orders() {
    let shop = Arc::new(Shop::open().await);
    let mut crowd = JoinSet::new();
    for n in 0..24 {
        let shop = Arc::clone(&shop);
        crowd.spawn(async move {
            let id = format!("o-{n}");
            shop.reserve(&id, "p-00001", 3).await;
            if n % 2 == 0 {
                shop.release(&id).await;
            }
        });
    }
    crowd.join_all().await;
    let published = shop.published().await;
    let newest = published
        .iter()
        .flat_map(|(_, levels)| levels)
        .filter(|l| l.product_id == "p-00001")
        .max_by_key(|l| l.version)
        .unwrap();
    let now = shop.available("p-00001").await;
    assert_eq!(Band::of(newest.available), Band::of(now));
    let versions: Vec<_> = published.iter().flat_map(|(_, l)| l).collect();
    let mut of_one: Vec<_> = versions
        .iter()
        .filter(|l| l.product_id == "p-00001")
        .map(|l| l.version)
        .collect();
    of_one.sort_unstable();
    let all = of_one.len();
    of_one.dedup();
    assert_eq!(of_one.len(), all, "no two changes have one version");
}

#[tokio::test]
async fn the_relay_delivers_stock_changes_to_product() {
    let received: Arc<Mutex<Vec<Envelope>>> = Arc::default();
    let keep = Arc::clone(&received);
    let product = Router::new().route(
        "/events",
        post(move |Json(envelope): Json<Envelope>| async move {
            keep.lock().unwrap().push(envelope);
            StatusCode::NO_CONTENT
        }),
    );
    let shop = Shop::open_beside(Some(serve(product).await)).await;
    shop.reserve("o-1", "p-00001", 10).await;
    let shutdown = CancellationToken::new();
    let store = shop.inventory.store().clone();
    let relay = tokio::spawn(Relay::new(shop.kit.clone(), store.clone()).run(shutdown.clone()));
    while events::pending(&store).await.unwrap() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    shutdown.cancel();
    relay.await.unwrap();
    let received = received.lock().unwrap();
    let subjects: std::collections::BTreeSet<_> =
        received.iter().map(|e| e.subject.as_str()).collect();
    assert_eq!(subjects, ["o-1", "opening"].into());
    assert!(received.iter().all(|e| e.source == "inventory"));
    let stock = |e: &Envelope| matches!(e.event, Event::StockChanged(_));
    assert!(received.iter().all(stock));
}
