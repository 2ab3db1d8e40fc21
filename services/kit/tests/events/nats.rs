//! What only NATS can do to us.

use std::net::SocketAddr;
use std::time::Duration;

use async_nats::jetstream;
use shop_kit::config::Events;
use shop_kit::net::{self, Lease};
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, JoinSet};

use crate::world::{Way, World, until};

/// A server that can go away: the real one, behind a wire that can be cut.
struct Wire {
    port: Lease,
    server: SocketAddr,
    carrying: Option<AbortHandle>,
}

impl Wire {
    /// The wire, cut, and the URL at its near end.
    fn new(url: &str) -> (Self, String) {
        let rest = url.strip_prefix("nats://").unwrap();
        let (server, shop) = rest.split_once('/').unwrap();
        let port = Lease::take(([127, 0, 0, 1], 0).into()).unwrap();
        let near = format!("nats://{}/{shop}", port.address());
        let wire = Self {
            port,
            server: server.parse().unwrap(),
            carrying: None,
        };
        (wire, near)
    }

    fn mend(&mut self) {
        let listener = net::listen(self.port.address()).unwrap();
        let server = self.server;
        let carry = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                connections.spawn(async move {
                    let mut far = TcpStream::connect(server).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        self.carrying = Some(carry.abort_handle());
    }

    /// Breaks every connection; new ones are refused.
    fn cut(&mut self) {
        self.carrying.take().unwrap().abort();
    }
}

async fn behind_a_wire() -> Option<(World, Wire)> {
    let folder = tempfile::tempdir().unwrap();
    let (wire, url) = Wire::new(&shop_testkit::nats(folder.path())?);
    let world = World::with(Way::Nats, Events::Nats { url }, folder).await;
    Some((world, wire))
}

#[tokio::test]
async fn a_server_that_is_away_holds_up_no_start_and_no_end_and_loses_nothing() {
    let Some((world, mut wire)) = behind_a_wire().await else {
        return;
    };
    // Away at the start, and still away at the end.
    let (relay, subscriber) = (world.relay(), world.subscriber());
    world.write(0..5).await;
    relay.stop().await;
    subscriber.stop().await;
    assert_eq!(world.pending().await, 10, "two subscribers, five events");
    // It comes while both are waiting for it.
    let (relay, subscriber) = (world.relay(), world.subscriber());
    wire.mend();
    world.settled(5, 0).await;
    relay.stop().await;
    subscriber.stop().await;
}

#[tokio::test]
async fn a_server_that_goes_in_the_middle_loses_nothing() {
    let Some((world, mut wire)) = behind_a_wire().await else {
        return;
    };
    wire.mend();
    let (relay, subscriber) = (world.relay(), world.subscriber());
    for round in 0..3 {
        world.write(round * 20..round * 20 + 10).await;
        wire.cut();
        world.write(round * 20 + 10..round * 20 + 20).await;
        wire.mend();
    }
    world.settled(60, 0).await;
    relay.stop().await;
    subscriber.stop().await;
}

#[tokio::test]
async fn the_server_keeps_each_event_once_however_often_it_is_published() {
    let Some(world) = World::open(Way::Nats).await else {
        return;
    };
    let relay = world.relay();
    let written = world.write(0..3).await;
    until(async || world.pending().await == 0).await;
    for envelope in &written {
        world.write_one(envelope).await;
    }
    until(async || world.pending().await == 0).await;
    relay.stop().await;
    let (jetstream, shop) = direct(&world).await;
    let stream = jetstream.get_stream(format!("SHOP-{shop}")).await.unwrap();
    assert_eq!(stream.cached_info().state.messages, 3);
}

#[tokio::test]
async fn what_can_never_be_read_is_counted_and_given_up() {
    let Some(world) = World::open(Way::Nats).await else {
        return;
    };
    let (relay, subscriber) = (world.relay(), world.subscriber());
    world.write(0..1).await;
    world.settled(1, 0).await;
    let (jetstream, shop) = direct(&world).await;
    let subject = format!("{shop}.shop.orders");
    let receipt = jetstream.publish(subject, "no event".into()).await.unwrap();
    receipt.await.unwrap();
    world.write(1..5).await;
    world.settled(5, 0).await;
    let unreadable = "outcome=\"unreadable\"";
    until(async || world.notes.kit.metrics().render().contains(unreadable)).await;
    let stream = jetstream.get_stream(format!("SHOP-{shop}")).await.unwrap();
    until(async || {
        let info = stream.consumer_info("notification-orders").await.unwrap();
        info.num_pending == 0 && info.num_ack_pending == 0
    })
    .await;
    relay.stop().await;
    subscriber.stop().await;
}

#[tokio::test]
async fn replicas_share_the_work_and_its_length_is_shown() {
    let Some(world) = World::open(Way::Nats).await else {
        return;
    };
    let relay = world.relay();
    let (one, other) = (world.subscriber(), world.subscriber());
    world.write(0..50).await;
    world.settled(50, 0).await;
    let depth = "shop_queue_depth";
    let shown = async || world.notes.kit.metrics().render().contains(depth);
    until(shown).await;
    one.stop().await;
    other.stop().await;
    relay.stop().await;
}

/// A client of the test's own, and the shop's name on the server.
async fn direct(world: &World) -> (jetstream::Context, String) {
    let Events::Nats { url } = &world.writer.0.config().events else {
        panic!("events go by HTTP");
    };
    let (server, shop) = url.rsplit_once('/').unwrap();
    let connected = tokio::time::timeout(Duration::from_secs(10), async_nats::connect(server));
    let client = connected.await.unwrap().unwrap();
    (jetstream::new(client), shop.to_owned())
}
