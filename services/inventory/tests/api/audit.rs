//! The audit finds contradictions, product by product.

use axum::http::Method;

use shop_kit::audit::AuditSource;

use crate::shop::Shop;

/// One order that has bought p-00001, one that holds p-00002, one that released p-00003.
async fn busy() -> Shop {
    let shop = Shop::open().await;
    shop.reserve("bought", "p-00001", 3).await;
    shop.settle(Method::POST, "/reservations/bought/commit")
        .await;
    shop.reserve("held", "p-00002", 2).await;
    shop.reserve("back", "p-00003", 1).await;
    shop.release("back").await;
    shop
}

#[tokio::test]
async fn a_busy_shop_has_no_contradictions() {
    assert_eq!(busy().await.audit().await, ((195, 2, 3), 0));
}

#[tokio::test]
async fn pieces_that_moved_between_products_are_found_although_the_sums_are_right() {
    let shop = busy().await;
    shop.tamper("UPDATE stock SET available = available - 1, reserved = reserved + 1 WHERE product_id = 'p-00003'")
        .await;
    shop.tamper("UPDATE stock SET available = available + 1, reserved = reserved - 1 WHERE product_id = 'p-00002'")
        .await;
    assert_eq!(shop.audit().await, ((195, 2, 3), 2));
}

#[tokio::test]
async fn pieces_committed_without_a_reservation_are_found() {
    let shop = busy().await;
    shop.tamper("UPDATE stock SET available = available - 1, committed = committed + 1 WHERE product_id = 'p-00004'")
        .await;
    assert_eq!(shop.audit().await.1, 1);
}

#[tokio::test]
async fn a_reservation_with_another_quantity_or_status_is_found() {
    for sql in [
        "UPDATE reservation_items SET quantity = 4 WHERE reservation_id = 'bought'",
        "UPDATE reservations SET status = 'released' WHERE id = 'held'",
        "UPDATE reservations SET status = 'held' WHERE id = 'back'",
        "DELETE FROM reservation_items WHERE reservation_id = 'bought'",
        "INSERT INTO reservation_items (reservation_id, product_id, quantity) VALUES ('held', 'p-99999', 1)",
    ] {
        let shop = busy().await;
        shop.tamper(sql).await;
        assert_eq!(shop.audit().await.1, 1, "{sql}");
    }
}

#[tokio::test]
async fn reservations_are_listed_in_pages_each_of_them_once() {
    let shop = busy().await;
    let mut lines: Vec<String> = Vec::new();
    loop {
        let after = lines.last().cloned().unwrap_or_default();
        let page = shop.inventory.rows(&after, 1).await.unwrap();
        assert!(page.len() <= 1);
        match page.first() {
            Some(line) => lines.push(line.id().unwrap().to_owned()),
            None => break,
        }
    }
    lines.sort();
    assert_eq!(lines, ["back", "bought", "held"]);
    assert!(!shop.inventory.moving().await.unwrap().is_still());
}
