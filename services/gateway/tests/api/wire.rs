//! The gateway on a real socket, against callers that do not keep to the rules.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use governor::clock::FakeRelativeClock;
use shop_contract::Role;
use shop_gateway::{Allowance, Limits, RateLimits};
use shop_kit::Kit;
use shop_kit::audit::Audit;
use shop_kit::net::Lease;
use shop_kit::service::{self, Service};
use shop_testkit::{config, exchange, serve};
use tokio::net::{TcpSocket, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

struct Shop {
    address: SocketAddr,
    _lease: Lease,
    _stop: DropGuard,
}

/// The gateway as its process runs it, except for the clock of its limits.
async fn shop(limits: Limits) -> Shop {
    let everyone = serve(Router::new().fallback(|| async { StatusCode::CREATED })).await;
    let peers: BTreeMap<Role, Vec<String>> = Role::ALL.map(|r| (r, vec![everyone.clone()])).into();
    // Bound and never listened on, so that the port is known beforehand.
    let lease = Lease::take(([127, 0, 0, 1], 0).into()).unwrap();
    let mut config = config(Role::Gateway, &std::env::temp_dir(), peers);
    config.listen = lease.address();
    let kit = Kit::new(config);
    let limits = RateLimits::with_clock(limits, FakeRelativeClock::default());
    let service = Service {
        routes: shop_gateway::router(&kit, &Arc::new(limits)),
        audit: Audit::empty(),
        store: None,
        workers: Vec::new(),
    };
    let stop = CancellationToken::new();
    let running = tokio::spawn(service::run(kit.clone(), service, stop.clone()));
    while !kit.is_ready() {
        assert!(!running.is_finished(), "the gateway did not start");
        tokio::task::yield_now().await;
    }
    Shop {
        address: lease.address(),
        _lease: lease,
        _stop: stop.drop_guard(),
    }
}

async fn connect(shop: &Shop) -> TcpStream {
    TcpStream::connect(shop.address).await.unwrap()
}

#[tokio::test]
async fn too_many_headers_are_refused() {
    let shop = shop(Limits::default()).await;
    let with = |headers: usize| {
        let many: String = (0..headers).map(|n| format!("x-{n}: 1\r\n")).collect();
        format!("GET /products HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n{many}\r\n")
    };
    let answer = exchange(connect(&shop).await, with(98).into_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let answer = exchange(connect(&shop).await, with(99).into_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn an_endless_header_is_refused() {
    let shop = shop(Limits::default()).await;
    let mut request = b"GET /products HTTP/1.1\r\nhost: shop\r\nx-large: ".to_vec();
    request.resize(1024 * 1024, b'a');
    let answer = exchange(connect(&shop).await, request).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn a_body_that_never_comes_is_refused_at_the_deadline() {
    let shop = shop(Limits::default()).await;
    let request =
        "POST /users HTTP/1.1\r\nhost: shop\r\nx-deadline-ms: 50\r\ncontent-length: 10\r\n\r\n{";
    let answer = exchange(connect(&shop).await, request.into()).await;
    assert!(answer.starts_with("HTTP/1.1 504"), "{answer}");
}

/// On Linux, all of 127.0.0.0/8 is this machine.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn clients_are_identified_by_their_address() {
    let one_each = Limits {
        per_address: Allowance::new(1, 1),
        ..Limits::default()
    };
    let shop = shop(one_each).await;
    let from = |host: u8| {
        let address = shop.address;
        async move {
            let socket = TcpSocket::new_v4().unwrap();
            let own = SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0));
            socket.bind(own).unwrap();
            let request = "GET /products HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n";
            let answer = exchange(socket.connect(address).await.unwrap(), request.into()).await;
            answer.split(' ').nth(1).unwrap().to_owned()
        }
    };
    assert_eq!(from(1).await, "201");
    assert_eq!(from(1).await, "429");
    assert_eq!(from(2).await, "201");
}
