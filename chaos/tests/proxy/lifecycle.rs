//! The lifecycle of proxies and connections: ports are freed, half-closes and resets are passed on, and a dead upstream
//! does not delay other connections.

use std::io::ErrorKind;

use chaos::proxy::{NewToxic, Proxies, ProxyChange, ProxyError, ProxySpec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::fixture::{ProxiedEcho, echo, exchange, kind, read_all, until, unused_address};

async fn is_refused(address: std::net::SocketAddr) -> bool {
    let refused = TcpStream::connect(address).await.err();
    refused.is_some_and(|e| e.kind() == ErrorKind::ConnectionRefused)
}

#[tokio::test]
async fn a_half_close_by_the_client_is_passed_on_and_the_reply_still_arrives() {
    let fixture = ProxiedEcho::open().await;
    let mut client = fixture.client().await;
    client.write_all(b"a question").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut client).await.unwrap(), b"a question");
    until(|| fixture.proxies.get("p").unwrap().connections.open == 0).await;
}

#[tokio::test]
async fn a_reset_by_the_server_is_passed_on() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let fixture = ProxiedEcho::to(listener.local_addr().unwrap()).await;
    let mut client = fixture.client().await;
    let (server, _) = listener.accept().await.unwrap();
    server.set_zero_linger().unwrap();
    drop(server);
    let error = read_all(&mut client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn large_data_passes_unchanged_in_both_directions() {
    let fixture = ProxiedEcho::open().await;
    let client = fixture.client().await;
    let (mut read, mut write) = client.into_split();
    let data: Vec<u8> = (0..8_000_000u32).map(|n| (n / 251) as u8).collect();
    let sent = data.clone();
    let sending = tokio::spawn(async move {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut back = vec![];
    read.read_to_end(&mut back).await.unwrap();
    sending.await.unwrap();
    assert!(back == data);
    let [(_, up_in, up_out), (_, down_in, down_out)] = fixture.proxies.get("p").unwrap().bytes;
    assert_eq!([up_in, up_out, down_in, down_out], [8_000_000; 4]);
}

#[tokio::test]
async fn a_dead_upstream_closes_its_clients_and_is_counted() {
    let fixture = ProxiedEcho::to(unused_address().await).await;
    for _ in 0..3 {
        assert_eq!(read_all(&mut fixture.client().await).await.unwrap(), b"");
    }
    until(|| fixture.proxies.get("p").unwrap().connections.dial_failed == 3).await;
}

#[tokio::test]
async fn an_upstream_that_does_not_respond_delays_no_other_connection() {
    // The kernel drops connection requests to a socket with a full queue.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let silent = socket.listen(1).unwrap();
    let address = silent.local_addr().unwrap();
    let mut queue = vec![];
    let limit = std::time::Duration::from_millis(200);
    while let Ok(connected) = tokio::time::timeout(limit, TcpStream::connect(address)).await {
        queue.push(connected.unwrap());
    }
    let fixture = ProxiedEcho::to(address).await;
    let mut stuck = vec![];
    for _ in 0..5 {
        stuck.push(fixture.client().await);
    }
    // All were accepted, while the first one still waits for its upstream.
    until(|| fixture.proxies.get("p").unwrap().connections.total == 5).await;
    assert_eq!(fixture.proxies.get("p").unwrap().connections.open, 5);
    // The proxy can be changed at the same time.
    let change = ProxyChange {
        upstream: Some(echo().await.to_string()),
        ..ProxyChange::default()
    };
    fixture.proxies.update("p", change).await.unwrap();
    exchange(&mut fixture.client().await, b"hello")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_disabled_proxy_refuses_and_closes_connections_and_keeps_its_toxics() {
    let fixture = ProxiedEcho::open().await;
    let mut client = fixture.connected().await;
    fixture.add(NewToxic::new(kind("noop", &[])));
    let enabled = |enabled| ProxyChange {
        enabled: Some(enabled),
        ..ProxyChange::default()
    };
    let off = fixture.proxies.update("p", enabled(false)).await.unwrap();
    assert!(!off.spec.enabled && off.connections.open == 0);
    assert!(read_all(&mut client).await.is_ok_and(|r| r.is_empty()));
    assert!(is_refused(fixture.address).await);
    let on = fixture.proxies.update("p", enabled(true)).await.unwrap();
    assert_eq!(on.spec.listen, fixture.address.to_string());
    assert_eq!(on.toxics.len(), 1);
    fixture.connected().await;
}

#[tokio::test]
async fn reset_enables_every_proxy_and_removes_every_toxic() {
    let fixture = ProxiedEcho::open().await;
    fixture.add(NewToxic::new(kind("timeout", &[])));
    let off = ProxySpec {
        name: "off".to_owned(),
        listen: "127.0.0.1:0".to_owned(),
        upstream: echo().await.to_string(),
        enabled: false,
    };
    fixture.proxies.create(off).await.unwrap();
    fixture.proxies.reset().await.unwrap();
    let all = fixture.proxies.list();
    assert!(all.iter().all(|p| p.spec.enabled && p.toxics.is_empty()));
    fixture.connected().await;
}

#[tokio::test]
async fn ports_are_freed_by_delete_close_and_token() {
    let upstream = echo().await.to_string();
    let token = CancellationToken::new();
    let proxies = Proxies::new(1, token.clone());
    let a = proxies.open("a", "127.0.0.1:0", &upstream).await.unwrap();
    let taken = proxies.open("b", &a.to_string(), &upstream).await;
    let message = taken.unwrap_err().to_string();
    assert_eq!(
        message,
        format!("listen tcp {a}: bind: address already in use")
    );
    let mut client = TcpStream::connect(a).await.unwrap();
    exchange(&mut client, b"hello").await.unwrap();
    proxies.delete("a").await.unwrap();
    assert!(read_all(&mut client).await.unwrap().is_empty());
    let b = proxies.open("b", &a.to_string(), &upstream).await.unwrap();
    assert_eq!(a, b);
    proxies.close().await;
    assert!(is_refused(b).await && proxies.list().is_empty());

    let c = proxies.open("c", "127.0.0.1:0", &upstream).await.unwrap();
    let mut client = TcpStream::connect(c).await.unwrap();
    exchange(&mut client, b"hello").await.unwrap();
    token.cancel();
    assert!(read_all(&mut client).await.unwrap().is_empty());
    proxies.close().await;
    assert!(is_refused(c).await);
}

#[tokio::test]
async fn everything_ends_with_the_last_handle() {
    let ProxiedEcho { proxies, address } = ProxiedEcho::open().await;
    let mut client = TcpStream::connect(address).await.unwrap();
    exchange(&mut client, b"hello").await.unwrap();
    drop(proxies);
    assert!(read_all(&mut client).await.unwrap().is_empty());
}

#[tokio::test]
async fn missing_proxies_and_toxics_are_errors() {
    let fixture = ProxiedEcho::open().await;
    let message = |e: ProxyError| e.to_string();
    let toxic = NewToxic::new(kind("noop", &[]));
    assert_eq!(
        message(fixture.proxies.get("q").unwrap_err()),
        "proxy not found"
    );
    assert_eq!(
        message(fixture.proxies.add_toxic("q", toxic.clone()).unwrap_err()),
        "proxy not found"
    );
    assert_eq!(
        message(fixture.proxies.toxic_hits("p", "t").unwrap_err()),
        "toxic not found"
    );
    fixture.add(toxic.clone());
    assert_eq!(
        message(
            fixture
                .proxies
                .add_toxic("p", toxic.named("t"))
                .unwrap_err()
        ),
        "toxic already exists"
    );
}
