//! What the catalogue knows of the stock from inventory's events.

use axum::http::StatusCode;
use shop_contract::inventory::Band;
use shop_contract::product::{Availability, Source};

use crate::shop::{Shop, metric, stocked};

fn word(band: Band, as_of_ms: i64) -> Option<Availability> {
    Some(Availability {
        band,
        pieces: None,
        source: Source::View,
        as_of_ms,
    })
}

#[tokio::test]
async fn products_without_a_known_stock_have_no_availability() {
    let shop = Shop::open().await;
    let (_, page) = shop.get("/products/p-00001?stock=view").await;
    assert_eq!(page.get("availability"), None);
}

#[tokio::test]
async fn pages_lists_and_searches_show_inventorys_events() {
    let shop = Shop::open().await;
    let event = stocked(
        "e-1",
        77,
        &[("p-00001", 0, 1), ("p-00002", 10, 1), ("p-00003", 11, 1)],
    );
    assert_eq!(shop.deliver(&event, None).await, StatusCode::NO_CONTENT);
    let all = shop.all("limit=100").await;
    for (id, band) in [
        ("p-00001", Band::SoldOut),
        ("p-00002", Band::FewLeft),
        ("p-00003", Band::InStock),
    ] {
        let page = shop.viewed(id).await;
        assert_eq!(page.availability, word(band, 77), "{id}");
        assert!(all.contains(&page), "{id} in the list");
        let title = page.title.replace(' ', "+");
        assert!(shop.found(&title).await.contains(&page), "{id} is found");
    }
    let known = all.iter().filter(|p| p.availability.is_some()).count();
    assert_eq!(known, 3, "nothing is known of the others");
}

#[tokio::test]
async fn the_higher_version_wins_in_any_order() {
    let shop = Shop::open().await;
    let events = [
        stocked("e-3", 30, &[("p-00001", 0, 3)]),
        stocked("e-1", 10, &[("p-00001", 500, 1), ("p-00002", 500, 1)]),
        stocked("e-2", 20, &[("p-00001", 5, 2), ("p-00002", 5, 2)]),
    ];
    for event in &events {
        shop.deliver(event, None).await;
    }
    assert_eq!(
        shop.viewed("p-00001").await.availability,
        word(Band::SoldOut, 30)
    );
    assert_eq!(
        shop.viewed("p-00002").await.availability,
        word(Band::FewLeft, 20)
    );
    // Also within one event that has the newest level of a product before an older one.
    let both = stocked("e-5", 50, &[("p-00001", 900, 5), ("p-00001", 3, 4)]);
    shop.deliver(&both, None).await;
    assert_eq!(
        shop.viewed("p-00001").await.availability,
        word(Band::InStock, 50)
    );
}

#[tokio::test]
async fn an_event_counts_once_and_only_from_a_service() {
    let shop = Shop::open().await;
    let event = stocked("e-1", 10, &[("p-00001", 0, 1)]);
    let stranger = shop.deliver(&event, Some("guessed")).await;
    assert_eq!(stranger, StatusCode::NOT_FOUND);
    assert_eq!(shop.viewed("p-00001").await.availability, None);
    for _ in 0..2 {
        assert_eq!(shop.deliver(&event, None).await, StatusCode::NO_CONTENT);
    }
    let name = "messaging_client_consumed_messages_total";
    let of_stock = ("messaging_destination_name", "shop.stock");
    for outcome in ["done", "duplicate"] {
        let times = metric(&shop, name, &[of_stock, ("outcome", outcome)]);
        assert_eq!(times, 1.0, "{outcome}");
    }
}

#[tokio::test]
async fn an_event_with_hundreds_of_products_is_stored_at_once() {
    let shop = Shop::open().await;
    let ids: Vec<String> = (1..=500).map(|n| format!("p-{n:05}")).collect();
    let levels: Vec<_> = ids.iter().map(|id| (id.as_str(), 1000, 1)).collect();
    let event = stocked("e-1", 10, &levels);
    assert_eq!(shop.deliver(&event, None).await, StatusCode::NO_CONTENT);
    let all = shop.all("limit=100").await;
    assert!(
        all.iter()
            .all(|p| p.availability == word(Band::InStock, 10))
    );
}
