//! Failures that only NATS has.

use std::net::SocketAddr;
use std::time::Duration;

use async_nats::jetstream;
use shop_kit::config::Events;
use shop_kit::net::{self, Lease};
use shop_testkit::{metric, until};
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, JoinSet};

use crate::world::{Transport, World};

/// A TCP proxy to the real server that can be cut.
struct Wire {
    port: Lease,
    server: SocketAddr,
    task: Option<AbortHandle>,
}

impl Wire {
    /// The proxy, cut, and its URL.
    fn new(url: &str) -> (Self, String) {
        let rest = url.strip_prefix("nats://").unwrap();
        let (server, shop) = rest.split_once('/').unwrap();
        let port = Lease::take(([127, 0, 0, 1], 0).into()).unwrap();
        let proxy_url = format!("nats://{}/{shop}", port.address());
        let wire = Self {
            port,
            server: server.parse().unwrap(),
            task: None,
        };
        (wire, proxy_url)
    }

    fn connect(&mut self) {
        let listener = net::listen(self.port.address()).unwrap();
        let server = self.server;
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                connections.spawn(async move {
                    let mut far = TcpStream::connect(server).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        self.task = Some(task.abort_handle());
    }

    /// Closes every connection; new ones are refused.
    fn cut(&mut self) {
        self.task.take().unwrap().abort();
    }
}

async fn behind_a_wire() -> Option<(World, Wire)> {
    let folder = tempfile::tempdir().unwrap();
    let (wire, url) = Wire::new(&shop_testkit::nats(folder.path())?);
    let world = World::with(Transport::Nats, Events::Nats { url }, folder).await;
    Some((world, wire))
}

#[tokio::test]
async fn without_a_server_start_and_stop_are_not_delayed_and_nothing_is_lost() {
    let Some((world, mut wire)) = behind_a_wire().await else {
        return;
    };
    // Down at the start and at the end.
    let (relay, subscriber) = (world.relay(), world.subscriber());
    world.write(0..5).await;
    relay.stop().await;
    subscriber.stop().await;
    assert_eq!(world.pending().await, 10, "two subscribers, five events");
    // It starts while both wait for it.
    let (relay, subscriber) = (world.relay(), world.subscriber());
    wire.connect();
    world.settled(5, 0).await;
    relay.stop().await;
    subscriber.stop().await;
}

#[tokio::test]
async fn broken_connections_lose_nothing() {
    let Some((world, mut wire)) = behind_a_wire().await else {
        return;
    };
    wire.connect();
    let (relay, subscriber) = (world.relay(), world.subscriber());
    for round in 0..3 {
        world.write(round * 20..round * 20 + 10).await;
        wire.cut();
        world.write(round * 20 + 10..round * 20 + 20).await;
        wire.connect();
    }
    world.settled(60, 0).await;
    relay.stop().await;
    subscriber.stop().await;
}

#[tokio::test]
async fn the_server_stores_an_event_once_however_often_it_is_published() {
    let Some(world) = World::open(Transport::Nats).await else {
        return;
    };
    let relay = world.relay();
    let written = world.write(0..3).await;
    until("an empty outbox", async || world.pending().await == 0).await;
    for envelope in &written {
        world.write_one(envelope).await;
    }
    until("an empty outbox", async || world.pending().await == 0).await;
    relay.stop().await;
    let (jetstream, shop) = direct(&world).await;
    let stream = jetstream.get_stream(format!("SHOP-{shop}")).await.unwrap();
    assert_eq!(stream.cached_info().state.messages, 3);
}

#[tokio::test]
async fn an_unreadable_event_is_counted_and_given_up() {
    let Some(world) = World::open(Transport::Nats).await else {
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
    let unreadable =
        metric("messaging_client_consumed_messages_total").label("outcome", "unreadable");
    until("the unreadable event", async || {
        unreadable.is_in(&world.test_subscriber.kit.metrics().render())
    })
    .await;
    let stream = jetstream.get_stream(format!("SHOP-{shop}")).await.unwrap();
    until("all acknowledgements", async || {
        let info = stream.consumer_info("notification-orders").await.unwrap();
        info.num_pending == 0 && info.num_ack_pending == 0
    })
    .await;
    relay.stop().await;
    subscriber.stop().await;
}

#[tokio::test]
async fn replicas_share_the_work_and_the_queue_depth_is_reported() {
    let Some(world) = World::open(Transport::Nats).await else {
        return;
    };
    let relay = world.relay();
    let (one, other) = (world.subscriber(), world.subscriber());
    world.write(0..50).await;
    world.settled(50, 0).await;
    let depth = metric("shop_queue_depth");
    until("the queue depth", async || {
        depth.is_in(&world.test_subscriber.kit.metrics().render())
    })
    .await;
    one.stop().await;
    other.stop().await;
    relay.stop().await;
}

/// A NATS client of the test, and the shop's name on the server.
async fn direct(world: &World) -> (jetstream::Context, String) {
    let Events::Nats { url } = &world.writer.0.config().events else {
        panic!("events go by HTTP");
    };
    let (server, shop) = url.rsplit_once('/').unwrap();
    let connected = tokio::time::timeout(Duration::from_secs(10), async_nats::connect(server));
    let client = connected.await.unwrap().unwrap();
    (jetstream::new(client), shop.to_owned())
}
