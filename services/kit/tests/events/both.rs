//! Behaviour that both transports share.

use std::sync::atomic::Ordering;

use shop_contract::Role;
use shop_contract::faults::{FaultEffect, FaultOrder, MAX_TTL_MS, Only};
use shop_testkit::{metric, until};

use crate::world::{Transport, World};

/// Each behaviour as a test over HTTP and as one over NATS.
macro_rules! with_both_transports {
    ($($behaviour:ident),* $(,)?) => {
        mod http {
            $(#[tokio::test]
            async fn $behaviour() {
                super::$behaviour(super::World::open(super::Transport::Http).await.unwrap()).await;
            })*
        }
        mod nats {
            $(#[tokio::test]
            async fn $behaviour() {
                if let Some(world) = super::World::open(super::Transport::Nats).await {
                    super::$behaviour(world).await;
                }
            })*
        }
    };
}

with_both_transports!(
    every_event_arrives_and_is_processed_once,
    a_subscriber_that_was_down_misses_nothing,
    an_event_that_is_delivered_twice_is_processed_once,
    an_event_that_fails_is_delivered_again,
    a_malformed_event_delays_no_other,
    nothing_is_lost_whichever_side_stops_first,
    two_relays_share_an_outbox,
    faults_delay_events_and_nothing_is_lost,
);

async fn every_event_arrives_and_is_processed_once(world: World) {
    let (relay, subscriber) = (world.relay(), world.subscriber());
    world.write(0..100).await;
    world.settled(100, 0).await;
    relay.stop().await;
    subscriber.stop().await;
    let page = world.test_subscriber.kit.metrics().render();
    let consumed = metric("messaging_client_consumed_messages_total").label("outcome", "done");
    consumed.assert_in(&page);
    metric("messaging_process_duration_seconds_count").assert_in(&page);
}

async fn a_subscriber_that_was_down_misses_nothing(world: World) {
    let relay = world.relay();
    // Before its first start.
    world.write(0..5).await;
    if world.transport == Transport::Nats {
        // The server has stored the events.
        until("an empty outbox", async || world.pending().await == 0).await;
    }
    let subscriber = world.subscriber();
    world.settled(5, 0).await;
    subscriber.stop().await;
    // Between two starts.
    world.write(5..10).await;
    let subscriber = world.subscriber();
    world.settled(10, 0).await;
    subscriber.stop().await;
    relay.stop().await;
}

async fn an_event_that_is_delivered_twice_is_processed_once(world: World) {
    let subscriber = world.subscriber();
    let relay = world.relay();
    let written = world.write(0..5).await;
    world.settled(5, 0).await;
    // A relay that dies between delivery and deletion leaves the rows.
    relay.stop().await;
    for envelope in &written {
        world.write_one(envelope).await;
    }
    let relay = world.relay();
    world.write(5..6).await;
    world.settled(6, 0).await;
    relay.stop().await;
    subscriber.stop().await;
}

async fn an_event_that_fails_is_delivered_again(world: World) {
    world.test_subscriber.failing.store(3, Ordering::SeqCst);
    let (relay, subscriber) = (world.relay(), world.subscriber());
    world.write(0..2).await;
    world.settled(2, 0).await;
    assert_eq!(world.test_subscriber.failing.load(Ordering::SeqCst), 0);
    let page = world.test_subscriber.kit.metrics().render();
    let consumed = metric("messaging_client_consumed_messages_total");
    consumed.label("outcome", "failed").assert_in(&page);
    relay.stop().await;
    subscriber.stop().await;
}

async fn a_malformed_event_delays_no_other(world: World) {
    sqlx::query(
        "INSERT INTO outbox (id, subscriber, payload, lease_until, attempts, created_at_ms)
         VALUES ('broken', 'notification', '{', 0, 0, 0)",
    )
    .execute(world.writer.1.writer())
    .await
    .unwrap();
    let (relay, subscriber) = (world.relay(), world.subscriber());
    world.write(0..40).await;
    // It stays in the outbox.
    world.settled(40, 1).await;
    relay.stop().await;
    subscriber.stop().await;
}

async fn nothing_is_lost_whichever_side_stops_first(world: World) {
    let mut written = 0;
    for subscriber_first in [true, false] {
        let (relay, subscriber) = (world.relay(), world.subscriber());
        world.write(written..written + 30).await;
        written += 30;
        if subscriber_first {
            subscriber.stop().await;
            relay.stop().await;
        } else {
            relay.stop().await;
            subscriber.stop().await;
        }
    }
    let (relay, subscriber) = (world.relay(), world.subscriber());
    world.settled(i64::from(written), 0).await;
    relay.stop().await;
    subscriber.stop().await;
}

async fn two_relays_share_an_outbox(world: World) {
    let (one, other) = (world.relay(), world.relay());
    let subscriber = world.subscriber();
    world.write(0..60).await;
    world.settled(60, 0).await;
    one.stop().await;
    other.stop().await;
    subscriber.stop().await;
}

async fn faults_delay_events_and_nothing_is_lost(world: World) {
    let (relay, subscriber) = (world.relay(), world.subscriber());
    let faults = world.test_subscriber.kit.faults();
    let order = |name: &str, caller, effect| FaultOrder {
        name: name.to_owned(),
        ttl_ms: MAX_TTL_MS,
        share: 1.0,
        seed: 7,
        only: Only {
            route: Some("POST /events".to_owned()),
            caller: Some(caller),
            ..Only::default()
        },
        effect,
    };
    let error = || FaultEffect::Error { status: 500 };
    faults
        .inject(order("others", Role::Payment, error()))
        .unwrap();
    faults
        .inject(order("orders", Role::Order, error()))
        .unwrap();
    world.write(0..5).await;
    let hits = |n: usize| faults.states().active[n].hits;
    until("five hits", async || hits(1) >= 5).await;
    assert_eq!(world.test_subscriber.processed().await, (0, 0));
    assert_eq!(hits(0), 0, "no other service sends events");
    faults.clear_all();
    world.settled(5, 0).await;

    faults
        .inject(order("orders", Role::Order, FaultEffect::Hang))
        .unwrap();
    world.write(5..6).await;
    until("a hit", async || hits(0) >= 1).await;
    assert_eq!(world.test_subscriber.processed().await, (5, 5));
    faults.clear_all();
    world.settled(6, 0).await;
    relay.stop().await;
    subscriber.stop().await;
}
