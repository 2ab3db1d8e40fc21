//! Whatever call fails, before or after it took effect: the order comes to its end and all fits.

use axum::http::StatusCode;
use shop_contract::Role;
use shop_testkit::until;
use tokio_util::sync::CancellationToken;

use crate::shop::{Shop, When};

#[tokio::test]
async fn a_step_without_an_answer_is_repeated_until_it_has_one() {
    for (card_good, steps) in [
        (true, &["reserve", "charge", "commit"][..]),
        (false, &["reserve", "charge", "release"][..]),
    ] {
        for step in steps {
            for when in [When::Before, When::After] {
                let shop = Shop::open().await;
                shop.services.with(|s| {
                    s.card_good = card_good;
                    s.failing = Some((step, when, 2));
                });
                let (status, _) = shop.checkout("u-1", "k", "tok_good").await;
                // The shopper learns that the card was declined although the release hangs.
                let expected = if *step == "release" {
                    StatusCode::PAYMENT_REQUIRED
                } else {
                    StatusCode::ACCEPTED
                };
                assert_eq!(status, expected, "{step} {when:?}");
                let end = shop.settle("u-1").await;
                let expected = if card_good {
                    ("confirmed", "committed", "captured")
                } else {
                    ("cancelled", "released", "declined")
                };
                shop.services.with(|s| {
                    let held = (
                        end.as_str(),
                        *s.reservations.values().next().unwrap(),
                        *s.payments.values().next().unwrap(),
                    );
                    assert_eq!(held, expected, "{step} {when:?}");
                    assert_eq!((s.reservations.len(), s.payments.len()), (1, 1));
                });
            }
        }
    }
}

#[tokio::test]
async fn the_order_of_a_dead_replica_is_recovered() {
    let shop = Shop::open().await;
    shop.services
        .with(|s| s.failing = Some(("charge", When::After, 1)));
    let (status, accepted) = shop.checkout("u-1", "k", "tok_good").await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let shop = shop.reopened().await;
    assert_eq!(shop.settle("u-1").await, "confirmed");
    let (status, order) = shop.checkout("u-1", "k", "tok_good").await;
    assert_eq!(
        (status, &order["id"]),
        (StatusCode::CREATED, &accepted["id"])
    );
}

#[tokio::test]
async fn a_paid_order_whose_stock_was_released_is_cancelled() {
    let shop = Shop::open().await;
    shop.services
        .with(|s| s.failing = Some(("commit", When::Before, 1)));
    shop.checkout("u-1", "k", "tok_good").await;
    shop.services
        .with(|s| s.reservations.values_mut().for_each(|r| *r = "released"));
    assert_eq!(shop.settle("u-1").await, "cancelled");
    shop.services
        .with(|s| assert_eq!(s.payments.values().collect::<Vec<_>>(), [&"refunded"]));
}

#[tokio::test]
async fn a_confirmation_reaches_every_subscriber_although_delivery_fails_at_first() {
    let shop = Shop::open().await;
    shop.services
        .with(|s| s.failing = Some(("event", When::Before, 3)));
    let (_, order) = shop.checkout("u-1", "k", "tok_good").await;
    let stop = CancellationToken::new();
    let relay = tokio::spawn(shop.relay.clone().run(stop.clone()));
    until("the delivery of every event", async || {
        shop_kit::events::pending(shop.orders.store())
            .await
            .unwrap()
            == 0
    })
    .await;
    stop.cancel();
    relay.await.unwrap();
    shop.services.with(|s| {
        // Notification, cart and product: three subscribers at one address here.
        assert_eq!(s.events.len(), 3);
        for event in &s.events {
            assert_eq!(event["type"], "order.confirmed");
            assert_eq!(event["subject"], order["id"]);
            assert_eq!(event["source"], Role::Order.name());
        }
        let ids: std::collections::HashSet<_> =
            s.events.iter().map(|e| e["id"].to_string()).collect();
        assert_eq!(ids.len(), 1, "the same event for all");
    });
}
