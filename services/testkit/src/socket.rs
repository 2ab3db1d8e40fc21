//! Real sockets.

use std::net::SocketAddr;

use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Serves a router on a free port for the rest of the test and returns its `host:port`.
pub async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// Connects to an address, also one that nobody listens on yet.
pub async fn connect(address: SocketAddr) -> TcpStream {
    loop {
        match TcpStream::connect(address).await {
            Ok(stream) => return stream,
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// Sends raw bytes and returns everything that comes back until the other end closes the connection, which it may do
/// before it has read all of them.
pub async fn exchange(stream: TcpStream, bytes: Vec<u8>) -> String {
    let (mut receiving, mut sending) = stream.into_split();
    let sender = tokio::spawn(async move {
        let _ = sending.write_all(&bytes).await;
        sending
    });
    let mut received = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(n @ 1..) = receiving.read(&mut piece).await {
        received.extend_from_slice(&piece[..n]);
    }
    drop(sender.await.unwrap());
    String::from_utf8(received).unwrap()
}
