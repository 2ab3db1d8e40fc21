//! What holds on both ways alike.

use std::sync::atomic::Ordering;

use shop_contract::Role;
use shop_contract::faults::{FaultEffect, FaultOrder, MAX_TTL_MS, Only};

use crate::world::{Way, World};

/// Each behaviour, as a test over HTTP and as one over NATS.
macro_rules! on_both_ways {
    ($($behaviour:ident),* $(,)?) => {
        mod http {
            $(#[tokio::test]
            async fn $behaviour() {
                super::$behaviour(super::World::open(super::Way::Http).await.unwrap()).await;
            })*
        }
        mod nats {
            $(#[tokio::test]
            async fn $behaviour() {
                if let Some(world) = super::World::open(super::Way::Nats).await {
                    super::$behaviour(world).await;
                }
            })*
        }
    };
}

on_both_ways!(
    every_event_arrives_and_is_acted_on_once,
    a_subscriber_that_was_away_misses_nothing,
    an_event_that_is_handed_over_twice_is_acted_on_once,
    an_event_that_cannot_be_acted_on_yet_comes_again,
    a_broken_event_holds_up_no_other,
    whoever_stops_first_nothing_is_lost,
    two_relays_share_an_outbox,
    faults_of_its_events_keep_them_from_a_subscriber_and_nothing_is_lost,
);

async fn every_event_arrives_and_is_acted_on_once(world: World) {
    let (relay, subscriber) = (world.relay(), world.subscriber());
    world.write(0..100).await;
    world.settled(100, 0).await;
    relay.stop().await;
    subscriber.stop().await;
    let page = world.notes.kit.metrics().render();
    assert!(page.contains("outcome=\"done\"") && page.contains("messaging_process"));
}

async fn a_subscriber_that_was_away_misses_nothing(world: World) {
    let relay = world.relay();
    // Before it has ever been there.
    world.write(0..5).await;
    if world.way == Way::Nats {
        // The server keeps them for it.
        crate::world::until(async || world.pending().await == 0).await;
    }
    let subscriber = world.subscriber();
    world.settled(5, 0).await;
    subscriber.stop().await;
    // And in between.
    world.write(5..10).await;
    let subscriber = world.subscriber();
    world.settled(10, 0).await;
    subscriber.stop().await;
    relay.stop().await;
}

async fn an_event_that_is_handed_over_twice_is_acted_on_once(world: World) {
    let subscriber = world.subscriber();
    let relay = world.relay();
    let written = world.write(0..5).await;
    world.settled(5, 0).await;
    // A relay that dies between handing over and deleting leaves the rows.
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

async fn an_event_that_cannot_be_acted_on_yet_comes_again(world: World) {
    world.notes.failing.store(3, Ordering::SeqCst);
    let (relay, subscriber) = (world.relay(), world.subscriber());
    world.write(0..2).await;
    world.settled(2, 0).await;
    assert_eq!(world.notes.failing.load(Ordering::SeqCst), 0);
    let page = world.notes.kit.metrics().render();
    assert!(page.contains("outcome=\"failed\""), "{page}");
    relay.stop().await;
    subscriber.stop().await;
}

async fn a_broken_event_holds_up_no_other(world: World) {
    sqlx::query(
        "INSERT INTO outbox (id, subscriber, payload, lease_until, attempts, created_at_ms)
         VALUES ('broken', 'notification', '{', 0, 0, 0)",
    )
    .execute(world.writer.1.writer())
    .await
    .unwrap();
    let (relay, subscriber) = (world.relay(), world.subscriber());
    world.write(0..40).await;
    // It stays where it is seen.
    world.settled(40, 1).await;
    relay.stop().await;
    subscriber.stop().await;
}

async fn whoever_stops_first_nothing_is_lost(world: World) {
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

async fn faults_of_its_events_keep_them_from_a_subscriber_and_nothing_is_lost(world: World) {
    let (relay, subscriber) = (world.relay(), world.subscriber());
    let faults = world.notes.kit.faults();
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
    crate::world::until(async || hits(1) >= 5).await;
    assert_eq!(world.notes.acts().await, (0, 0));
    assert_eq!(hits(0), 0, "nobody else sends any");
    faults.clear_all();
    world.settled(5, 0).await;

    faults
        .inject(order("orders", Role::Order, FaultEffect::Hang))
        .unwrap();
    world.write(5..6).await;
    crate::world::until(async || hits(0) >= 1).await;
    assert_eq!(world.notes.acts().await, (5, 5));
    faults.clear_all();
    world.settled(6, 0).await;
    relay.stop().await;
    subscriber.stop().await;
}
