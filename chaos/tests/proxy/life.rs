//! Proxies come and go: ports are given back, ends and resets are passed on, a dead upstream holds up nobody.

use std::io::ErrorKind;

use chaos::proxy::{Change, NewToxic, Proxies, ProxyError, ProxySpec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::house::{House, echo, exchange, kind, nowhere, rest, until};

async fn is_refused(address: std::net::SocketAddr) -> bool {
    let refused = TcpStream::connect(address).await.err();
    refused.is_some_and(|e| e.kind() == ErrorKind::ConnectionRefused)
}

#[tokio::test]
async fn a_client_s_end_is_passed_on_and_the_answer_still_comes() {
    let house = House::open().await;
    let mut client = house.client().await;
    client.write_all(b"a question").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(rest(&mut client).await.unwrap(), b"a question");
    until(|| house.proxies.get("p").unwrap().connections.open == 0).await;
}

#[tokio::test]
async fn a_server_s_reset_is_a_reset_for_its_client() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let house = House::before(listener.local_addr().unwrap()).await;
    let mut client = house.client().await;
    let (server, _) = listener.accept().await.unwrap();
    server.set_zero_linger().unwrap();
    drop(server);
    let error = rest(&mut client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn much_data_goes_through_whole_both_ways() {
    let house = House::open().await;
    let client = house.client().await;
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
    let [(_, up_in, up_out), (_, down_in, down_out)] = house.proxies.get("p").unwrap().bytes;
    assert_eq!([up_in, up_out, down_in, down_out], [8_000_000; 4]);
}

#[tokio::test]
async fn a_dead_upstream_closes_its_clients_and_is_counted() {
    let house = House::before(nowhere().await).await;
    for _ in 0..3 {
        assert_eq!(rest(&mut house.client().await).await.unwrap(), b"");
    }
    until(|| house.proxies.get("p").unwrap().connections.dial_failed == 3).await;
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_holds_up_no_other_connection() {
    // A socket whose queue is full answers no further connection: the kernel drops what asks for one.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let silent = socket.listen(1).unwrap();
    let address = silent.local_addr().unwrap();
    let mut queue = vec![];
    let waits = std::time::Duration::from_millis(200);
    while let Ok(connected) = tokio::time::timeout(waits, TcpStream::connect(address)).await {
        queue.push(connected.unwrap());
    }
    let house = House::before(address).await;
    let mut stuck = vec![];
    for _ in 0..5 {
        stuck.push(house.client().await);
    }
    // All of them were accepted, though the first one still waits for its upstream.
    until(|| house.proxies.get("p").unwrap().connections.total == 5).await;
    assert_eq!(house.proxies.get("p").unwrap().connections.open, 5);
    // And the proxy can be changed meanwhile.
    let change = Change {
        upstream: Some(echo().await.to_string()),
        ..Change::default()
    };
    house.proxies.update("p", change).await.unwrap();
    exchange(&mut house.client().await, b"hello").await.unwrap();
}

#[tokio::test]
async fn a_disabled_proxy_refuses_drops_and_comes_back_with_its_toxics() {
    let house = House::open().await;
    let mut client = house.met().await;
    house.add(NewToxic::new(kind("noop", &[])));
    let enabled = |enabled| Change {
        enabled: Some(enabled),
        ..Change::default()
    };
    let off = house.proxies.update("p", enabled(false)).await.unwrap();
    assert!(!off.spec.enabled && off.connections.open == 0);
    assert!(rest(&mut client).await.is_ok_and(|r| r.is_empty()));
    assert!(is_refused(house.address).await);
    let on = house.proxies.update("p", enabled(true)).await.unwrap();
    assert_eq!(on.spec.listen, house.address.to_string());
    assert_eq!(on.toxics.len(), 1);
    house.met().await;
}

#[tokio::test]
async fn reset_enables_every_proxy_and_removes_every_toxic() {
    let house = House::open().await;
    house.add(NewToxic::new(kind("timeout", &[])));
    let off = ProxySpec {
        name: "off".to_owned(),
        listen: "127.0.0.1:0".to_owned(),
        upstream: echo().await.to_string(),
        enabled: false,
    };
    house.proxies.create(off).await.unwrap();
    house.proxies.reset().await.unwrap();
    let all = house.proxies.list();
    assert!(all.iter().all(|p| p.spec.enabled && p.toxics.is_empty()));
    house.met().await;
}

#[tokio::test]
async fn ports_are_given_back_by_delete_close_and_token() {
    let upstream = echo().await.to_string();
    let token = CancellationToken::new();
    let proxies = Proxies::new(1, token.clone());
    let a = proxies.open("a", "127.0.0.1:0", &upstream).await.unwrap();
    let taken = proxies.open("b", &a.to_string(), &upstream).await;
    let told = taken.unwrap_err().to_string();
    assert_eq!(
        told,
        format!("listen tcp {a}: bind: address already in use")
    );
    let mut client = TcpStream::connect(a).await.unwrap();
    exchange(&mut client, b"hello").await.unwrap();
    proxies.delete("a").await.unwrap();
    assert!(rest(&mut client).await.unwrap().is_empty());
    let b = proxies.open("b", &a.to_string(), &upstream).await.unwrap();
    assert_eq!(a, b);
    proxies.close().await;
    assert!(is_refused(b).await && proxies.list().is_empty());

    let c = proxies.open("c", "127.0.0.1:0", &upstream).await.unwrap();
    let mut client = TcpStream::connect(c).await.unwrap();
    exchange(&mut client, b"hello").await.unwrap();
    token.cancel();
    assert!(rest(&mut client).await.unwrap().is_empty());
    proxies.close().await;
    assert!(is_refused(c).await);
}

#[tokio::test]
async fn everything_ends_with_the_last_handle() {
    let House { proxies, address } = House::open().await;
    let mut client = TcpStream::connect(address).await.unwrap();
    exchange(&mut client, b"hello").await.unwrap();
    drop(proxies);
    assert!(rest(&mut client).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_not_there_is_told_as_such() {
    let house = House::open().await;
    let none = |e: ProxyError| e.to_string();
    let toxic = NewToxic::new(kind("noop", &[]));
    assert_eq!(none(house.proxies.get("q").unwrap_err()), "proxy not found");
    assert_eq!(
        none(house.proxies.add_toxic("q", toxic.clone()).unwrap_err()),
        "proxy not found"
    );
    assert_eq!(
        none(house.proxies.toxic_hits("p", "t").unwrap_err()),
        "toxic not found"
    );
    house.add(toxic.clone());
    assert_eq!(
        none(house.proxies.add_toxic("p", toxic.named("t")).unwrap_err()),
        "toxic already exists"
    );
}
