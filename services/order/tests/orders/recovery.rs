//! Whatever call fails, before or after it took effect: the order comes to its end and all fits.

use axum::http::StatusCode;
use shop_contract::Role;
use shop_testkit::until;
use tokio_util::sync::CancellationToken;

use crate::world::{Shop, When};

#[tokio::test]
async fn a_step_without_an_answer_is_asked_again_until_it_has_one() {
    for (card_good, steps) in [
        (true, &["reserve", "charge", "commit"][..]),
        (false, &["reserve", "charge", "release"][..]),
    ] {
        for step in steps {
            for when in [When::Before, When::After] {
                let shop = Shop::open().await;
                shop.world.with(|h| {
                    h.card_good = card_good;
                    h.failing = Some((step, when, 2));
                });
                let (status, _) = shop.checkout("u-1", "k", "tok_good").await;
                // A release that hangs keeps nobody from being told that the card was declined.
                let told = if *step == "release" {
                    StatusCode::PAYMENT_REQUIRED
                } else {
                    StatusCode::ACCEPTED
                };
                assert_eq!(status, told, "{step} {when:?}");
                let end = shop.settle("u-1").await;
                let expected = if card_good {
                    ("confirmed", "committed", "captured")
                } else {
                    ("cancelled", "released", "declined")
                };
                shop.world.with(|h| {
                    let held = (
                        end.as_str(),
                        *h.reservations.values().next().unwrap(),
                        *h.payments.values().next().unwrap(),
                    );
                    assert_eq!(held, expected, "{step} {when:?}");
                    assert_eq!((h.reservations.len(), h.payments.len()), (1, 1));
                });
            }
        }
    }
}

#[tokio::test]
async fn an_order_left_lying_by_a_dead_replica_is_taken_up_by_the_next() {
    let shop = Shop::open().await;
    shop.world
        .with(|h| h.failing = Some(("charge", When::After, 1)));
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
async fn stock_that_was_released_behind_its_back_turns_a_paid_order_round() {
    let shop = Shop::open().await;
    shop.world
        .with(|h| h.failing = Some(("commit", When::Before, 1)));
    shop.checkout("u-1", "k", "tok_good").await;
    shop.world
        .with(|h| h.reservations.values_mut().for_each(|r| *r = "released"));
    assert_eq!(shop.settle("u-1").await, "cancelled");
    shop.world
        .with(|h| assert_eq!(h.payments.values().collect::<Vec<_>>(), [&"refunded"]));
}

#[tokio::test]
async fn the_good_end_is_told_to_each_subscriber_though_delivery_fails_at_first() {
    let shop = Shop::open().await;
    shop.world
        .with(|h| h.failing = Some(("event", When::Before, 3)));
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
    shop.world.with(|h| {
        // Notification, cart and product: three subscribers at one address here.
        assert_eq!(h.events.len(), 3);
        for event in &h.events {
            assert_eq!(event["type"], "order.confirmed");
            assert_eq!(event["subject"], order["id"]);
            assert_eq!(event["source"], Role::Order.name());
        }
        let ids: std::collections::HashSet<_> =
            h.events.iter().map(|e| e["id"].to_string()).collect();
        assert_eq!(ids.len(), 1, "the same event for all");
    });
}
