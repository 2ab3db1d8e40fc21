//! Each toxic affects open and new connections, counts them, and leaves nothing behind.

use std::io::ErrorKind::ConnectionReset;
use std::time::{Duration, Instant};

use chaos::proxy::{NewToxic, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::fixture::{LONG, ProxiedEcho, exchange, kind, read_all, until};

/// The median time of nine exchanges.
async fn median(client: &mut tokio::net::TcpStream) -> Duration {
    let mut times = vec![];
    for _ in 0..9 {
        let start = Instant::now();
        exchange(client, b"hello").await.unwrap();
        times.push(start.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

#[tokio::test]
async fn latency_is_at_least_its_value_and_ends_when_it_is_removed() {
    let fixture = ProxiedEcho::open().await;
    let mut open = fixture.connected().await;
    let latency = kind("latency", &[("latency", 60)]);
    fixture.add(NewToxic::new(latency));
    let mut new = fixture.client().await;
    for client in [&mut open, &mut new] {
        assert!(median(client).await >= Duration::from_millis(60));
    }
    assert_eq!(fixture.hits(), (2, 2 * 9 * 5));
    fixture.remove();
    // The median tolerates stalls of the machine.
    assert!(median(&mut open).await < Duration::from_millis(60));
    assert_eq!(
        fixture.hits(),
        (2, 2 * 9 * 5),
        "hits stay known after the end"
    );
}

#[tokio::test]
async fn latencies_in_both_directions_add_up() {
    let fixture = ProxiedEcho::open().await;
    for stream in [Stream::Upstream, Stream::Downstream] {
        let latency = NewToxic::new(kind("latency", &[("latency", 30)]));
        fixture.proxies.add_toxic("p", latency.on(stream)).unwrap();
    }
    assert!(median(&mut fixture.client().await).await >= Duration::from_millis(60));
    let toxics = fixture.proxies.get("p").unwrap().toxics;
    let names: Vec<_> = toxics.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["latency_upstream", "latency_downstream"]);
}

#[tokio::test]
async fn delayed_data_is_sent_at_once_when_the_toxic_is_removed() {
    let fixture = ProxiedEcho::open().await;
    let mut client = fixture.connected().await;
    let hours = kind("latency", &[("latency", 3_600_000)]);
    fixture.add(NewToxic::new(hours));
    client.write_all(b"patience").await.unwrap();
    until(|| fixture.hits() == (1, 8)).await;
    fixture.remove();
    let mut back = [0; 8];
    client.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"patience");
}

#[tokio::test]
async fn bandwidth_is_at_most_its_rate() {
    let fixture = ProxiedEcho::open().await;
    let mut client = fixture.connected().await;
    fixture.add(NewToxic::new(kind("bandwidth", &[("rate", 500)])).on(Stream::Upstream));
    let start = Instant::now();
    exchange(&mut client, &[7; 100_000]).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(200));
    assert_eq!(fixture.hits(), (1, 100_000));
    fixture.remove();
    exchange(&mut client, &[7; 1_000_000]).await.unwrap();
}

#[tokio::test]
async fn a_slow_close_delays_the_end_and_no_data() {
    let fixture = ProxiedEcho::open().await;
    let mut client = fixture.connected().await;
    fixture.add(NewToxic::new(kind("slow_close", &[("delay", 150)])));
    exchange(&mut client, b"data").await.unwrap();
    assert_eq!(fixture.hits(), (0, 0));
    let start = Instant::now();
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut client).await.unwrap(), b"");
    assert!(start.elapsed() >= Duration::from_millis(150));
    assert_eq!(fixture.hits(), (1, 0));
}

#[tokio::test]
async fn a_timeout_drops_data_and_closes() {
    let fixture = ProxiedEcho::open().await;
    let mut open = fixture.connected().await;
    fixture.add(NewToxic::new(kind("timeout", &[("timeout", 100)])).on(Stream::Upstream));
    let start = Instant::now();
    open.write_all(b"lost").await.unwrap();
    // The connection is closed and not reset.
    assert_eq!(read_all(&mut open).await.unwrap(), b"");
    let mut new = fixture.client().await;
    assert_eq!(read_all(&mut new).await.unwrap(), b"");
    assert!(start.elapsed() >= Duration::from_millis(100));
    assert_eq!(fixture.hits(), (2, 4));
    fixture.remove();
    fixture.connected().await;
}

#[tokio::test]
async fn a_timeout_of_0_closes_when_it_is_removed() {
    let fixture = ProxiedEcho::open().await;
    let mut client = fixture.connected().await;
    fixture.add(NewToxic::new(kind("timeout", &[])));
    client.write_all(b"lost").await.unwrap();
    until(|| fixture.hits() == (1, 4)).await;
    fixture.remove();
    assert_eq!(read_all(&mut client).await.unwrap(), b"");
}

#[tokio::test]
async fn a_reset_affects_open_and_new_connections() {
    for stream in [Stream::Upstream, Stream::Downstream] {
        let fixture = ProxiedEcho::open().await;
        let mut open = fixture.connected().await;
        let mut idle = fixture.connected().await;
        fixture.add(NewToxic::new(kind("reset_peer", &[])).on(stream));
        let _ = open.write_all(b"into the void").await;
        for client in [&mut open, &mut idle] {
            assert_eq!(read_all(client).await.unwrap_err().kind(), ConnectionReset);
        }
        let mut new = fixture.client().await;
        assert_eq!(
            read_all(&mut new).await.unwrap_err().kind(),
            ConnectionReset
        );
        assert_eq!(fixture.hits().0, 3);
        fixture.remove();
        fixture.connected().await;
    }
}

#[tokio::test]
async fn the_server_gets_the_reset_as_well() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let fixture = ProxiedEcho::to(listener.local_addr().unwrap()).await;
    let _client = fixture.client().await;
    let (mut server, _) = listener.accept().await.unwrap();
    fixture.add(NewToxic::new(kind("reset_peer", &[("timeout", 20)])));
    assert_eq!(
        read_all(&mut server).await.unwrap_err().kind(),
        ConnectionReset
    );
}

#[tokio::test]
async fn a_connection_that_a_reset_does_not_select_closes_normally() {
    let fixture = ProxiedEcho::open().await;
    let mut client = fixture.connected().await;
    fixture.add(NewToxic::new(kind("reset_peer", &[])).toxicity(0.0));
    exchange(&mut client, b"unharmed").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut client).await.unwrap(), b"");
    assert_eq!(fixture.hits(), (0, 0));
}

#[tokio::test]
async fn slices_arrive_completely_and_in_order() {
    let fixture = ProxiedEcho::open().await;
    let mut client = fixture.connected().await;
    fixture.add(NewToxic::new(kind(
        "slicer",
        &[("average_size", 64), ("size_variation", 32), ("delay", 50)],
    )));
    let data: Vec<u8> = (0..20_000u32).map(|n| n as u8).collect();
    exchange(&mut client, &data).await.unwrap();
    let (connections, bytes) = fixture.hits();
    assert!(connections == 1 && bytes > 10_000, "{bytes}");
}

#[tokio::test]
async fn a_limit_passes_exactly_its_bytes_and_closes() {
    let fixture = ProxiedEcho::open().await;
    let mut client = fixture.client().await;
    fixture.add(NewToxic::new(kind("limit_data", &[("bytes", 1000)])));
    client.write_all(&[7; 5000]).await.unwrap();
    assert_eq!(read_all(&mut client).await.unwrap(), [7; 1000]);
    assert_eq!(fixture.hits().0, 1);
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
        let fixture = ProxiedEcho::open().await;
        let toxic = NewToxic::new(kind(name, attributes)).ttl(Duration::from_millis(80));
        let start = Instant::now();
        fixture.add(toxic);
        until(|| fixture.proxies.get("p").unwrap().toxics.is_empty()).await;
        assert!(start.elapsed() >= Duration::from_millis(80));
        let mut client = fixture.connected().await;
        client.shutdown().await.unwrap();
        assert_eq!(read_all(&mut client).await.unwrap(), b"", "{name}");
        fixture.proxies.toxic_hits("p", "t").unwrap();
    }
}

#[tokio::test]
async fn a_time_to_live_releases_waiting_data() {
    let fixture = ProxiedEcho::open().await;
    let mut client = fixture.connected().await;
    let stuck = NewToxic::new(kind("bandwidth", &[]));
    fixture.add(stuck.ttl(Duration::from_millis(80)));
    let start = Instant::now();
    exchange(&mut client, b"stuck for a while").await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(70) && start.elapsed() < LONG);
    assert_eq!(fixture.hits().0, 1);
}
