//! Each toxic has its effect on connections that are open and on new ones, counts it, and leaves nothing behind.

use std::io::ErrorKind::ConnectionReset;
use std::time::{Duration, Instant};

use chaos::proxy::{NewToxic, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::house::{House, LONG, exchange, kind, rest, until};

/// The median time of some exchanges.
async fn median(client: &mut tokio::net::TcpStream) -> Duration {
    let mut times = vec![];
    for _ in 0..9 {
        let begun = Instant::now();
        exchange(client, b"hello").await.unwrap();
        times.push(begun.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

#[tokio::test]
async fn latency_is_at_least_what_was_asked_and_gone_when_it_is_removed() {
    let house = House::open().await;
    let mut open = house.met().await;
    let latency = kind("latency", &[("latency", 60)]);
    house.add(NewToxic::new(latency));
    let mut new = house.client().await;
    for client in [&mut open, &mut new] {
        assert!(median(client).await >= Duration::from_millis(60));
    }
    assert_eq!(house.hits(), (2, 2 * 9 * 5));
    house.remove();
    // Far from any delay, even where the machine stalls for a while.
    assert!(median(&mut open).await < Duration::from_millis(60));
    assert_eq!(house.hits(), (2, 2 * 9 * 5), "told after its end as well");
}

#[tokio::test]
async fn latency_on_both_ways_adds_up() {
    let house = House::open().await;
    for stream in [Stream::Upstream, Stream::Downstream] {
        let latency = NewToxic::new(kind("latency", &[("latency", 30)]));
        house.proxies.add_toxic("p", latency.on(stream)).unwrap();
    }
    assert!(median(&mut house.client().await).await >= Duration::from_millis(60));
    let toxics = house.proxies.get("p").unwrap().toxics;
    let names: Vec<_> = toxics.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["latency_upstream", "latency_downstream"]);
}

#[tokio::test]
async fn what_waits_for_its_delay_goes_at_once_when_the_toxic_is_removed() {
    let house = House::open().await;
    let mut client = house.met().await;
    let hours = kind("latency", &[("latency", 3_600_000)]);
    house.add(NewToxic::new(hours));
    client.write_all(b"patience").await.unwrap();
    until(|| house.hits() == (1, 8)).await;
    house.remove();
    let mut back = [0; 8];
    client.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"patience");
}

#[tokio::test]
async fn bandwidth_is_at_most_what_was_asked() {
    let house = House::open().await;
    let mut client = house.met().await;
    house.add(NewToxic::new(kind("bandwidth", &[("rate", 500)])).on(Stream::Upstream));
    let begun = Instant::now();
    exchange(&mut client, &[7; 100_000]).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(200));
    assert_eq!(house.hits(), (1, 100_000));
    house.remove();
    exchange(&mut client, &[7; 1_000_000]).await.unwrap();
}

#[tokio::test]
async fn a_slow_close_holds_back_the_end_and_no_data() {
    let house = House::open().await;
    let mut client = house.met().await;
    house.add(NewToxic::new(kind("slow_close", &[("delay", 150)])));
    exchange(&mut client, b"data").await.unwrap();
    assert_eq!(house.hits(), (0, 0));
    let begun = Instant::now();
    client.shutdown().await.unwrap();
    assert_eq!(rest(&mut client).await.unwrap(), b"");
    assert!(begun.elapsed() >= Duration::from_millis(150));
    assert_eq!(house.hits(), (1, 0));
}

#[tokio::test]
async fn a_timeout_swallows_data_and_closes() {
    let house = House::open().await;
    let mut open = house.met().await;
    house.add(NewToxic::new(kind("timeout", &[("timeout", 100)])).on(Stream::Upstream));
    let begun = Instant::now();
    open.write_all(b"lost").await.unwrap();
    // Closed and not reset: the orderly end of a connection that gave up.
    assert_eq!(rest(&mut open).await.unwrap(), b"");
    let mut new = house.client().await;
    assert_eq!(rest(&mut new).await.unwrap(), b"");
    assert!(begun.elapsed() >= Duration::from_millis(100));
    assert_eq!(house.hits(), (2, 4));
    house.remove();
    house.met().await;
}

#[tokio::test]
async fn a_timeout_of_0_lasts_until_it_is_removed_and_then_closes() {
    let house = House::open().await;
    let mut client = house.met().await;
    house.add(NewToxic::new(kind("timeout", &[])));
    client.write_all(b"lost").await.unwrap();
    until(|| house.hits() == (1, 4)).await;
    house.remove();
    assert_eq!(rest(&mut client).await.unwrap(), b"");
}

#[tokio::test]
async fn a_reset_is_a_reset_for_open_and_for_new_connections() {
    for stream in [Stream::Upstream, Stream::Downstream] {
        let house = House::open().await;
        let mut open = house.met().await;
        let mut idle = house.met().await;
        house.add(NewToxic::new(kind("reset_peer", &[])).on(stream));
        let _ = open.write_all(b"into the void").await;
        for client in [&mut open, &mut idle] {
            assert_eq!(rest(client).await.unwrap_err().kind(), ConnectionReset);
        }
        let mut new = house.client().await;
        assert_eq!(rest(&mut new).await.unwrap_err().kind(), ConnectionReset);
        assert_eq!(house.hits().0, 3);
        house.remove();
        house.met().await;
    }
}

#[tokio::test]
async fn the_server_sees_the_reset_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let house = House::before(listener.local_addr().unwrap()).await;
    let _client = house.client().await;
    let (mut server, _) = listener.accept().await.unwrap();
    house.add(NewToxic::new(kind("reset_peer", &[("timeout", 20)])));
    assert_eq!(rest(&mut server).await.unwrap_err().kind(), ConnectionReset);
}

#[tokio::test]
async fn a_connection_that_a_reset_spares_ends_in_order() {
    let house = House::open().await;
    let mut client = house.met().await;
    house.add(NewToxic::new(kind("reset_peer", &[])).toxicity(0.0));
    exchange(&mut client, b"unharmed").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(rest(&mut client).await.unwrap(), b"");
    assert_eq!(house.hits(), (0, 0));
}

#[tokio::test]
async fn slices_arrive_whole_and_in_order() {
    let house = House::open().await;
    let mut client = house.met().await;
    house.add(NewToxic::new(kind(
        "slicer",
        &[("average_size", 64), ("size_variation", 32), ("delay", 50)],
    )));
    let data: Vec<u8> = (0..20_000u32).map(|n| n as u8).collect();
    exchange(&mut client, &data).await.unwrap();
    let (connections, bytes) = house.hits();
    assert!(connections == 1 && bytes > 10_000, "{bytes}");
}

#[tokio::test]
async fn a_limit_lets_exactly_so_much_through_and_closes() {
    let house = House::open().await;
    let mut client = house.client().await;
    house.add(NewToxic::new(kind("limit_data", &[("bytes", 1000)])));
    client.write_all(&[7; 5000]).await.unwrap();
    assert_eq!(rest(&mut client).await.unwrap(), [7; 1000]);
    assert_eq!(house.hits().0, 1);
}

#[tokio::test]
async fn every_toxic_ends_with_its_time_to_live() {
    for (name, attributes) in [
        ("latency", &[("latency", 3_600_000)][..]),
        ("bandwidth", &[]),
        ("slow_close", &[("delay", 3_600_000)]),
        ("timeout", &[]),
        ("reset_peer", &[("timeout", 3_600_000)]),
        ("slicer", &[("average_size", 1), ("delay", 3_600_000_000)]),
        ("limit_data", &[]),
    ] {
        let house = House::open().await;
        let toxic = NewToxic::new(kind(name, attributes)).ttl(Duration::from_millis(80));
        let begun = Instant::now();
        house.add(toxic);
        until(|| house.proxies.get("p").unwrap().toxics.is_empty()).await;
        assert!(begun.elapsed() >= Duration::from_millis(80));
        let mut client = house.met().await;
        client.shutdown().await.unwrap();
        assert_eq!(rest(&mut client).await.unwrap(), b"", "{name}");
        house.proxies.toxic_hits("p", "t").unwrap();
    }
}

#[tokio::test]
async fn a_connection_is_let_go_by_a_time_to_live() {
    let house = House::open().await;
    let mut client = house.met().await;
    let stuck = NewToxic::new(kind("bandwidth", &[]));
    house.add(stuck.ttl(Duration::from_millis(80)));
    let begun = Instant::now();
    exchange(&mut client, b"stuck for a while").await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(70) && begun.elapsed() < LONG);
    assert_eq!(house.hits().0, 1);
}
