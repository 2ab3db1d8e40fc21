//! Test fixtures: an echo server, a proxy in front of it, and clients.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use chaos::proxy::{NewToxic, Proxies, ToxicKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Far longer than any test takes.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// An echo server. It closes a connection when its client does.
pub(crate) async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
                let _ = write.shutdown().await;
            });
        }
    });
    address
}

/// An address without a listener.
pub(crate) async fn unused_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

/// One proxy named `p` in front of an echo server.
pub(crate) struct ProxiedEcho {
    pub(crate) proxies: Proxies,
    pub(crate) address: SocketAddr,
}

impl ProxiedEcho {
    pub(crate) async fn open() -> Self {
        Self::to(echo().await).await
    }

    pub(crate) async fn to(upstream: SocketAddr) -> Self {
        let proxies = Proxies::new(7, CancellationToken::new());
        let upstream = upstream.to_string();
        let opened = proxies.open("p", "127.0.0.1:0", &upstream);
        let address = opened.await.unwrap();
        Self { proxies, address }
    }

    pub(crate) async fn client(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A client with an established connection.
    pub(crate) async fn connected(&self) -> TcpStream {
        let mut client = self.client().await;
        exchange(&mut client, b"hello").await.unwrap();
        client
    }

    pub(crate) fn add(&self, toxic: NewToxic) {
        self.proxies.add_toxic("p", toxic.named("t")).unwrap();
    }

    pub(crate) fn remove(&self) {
        self.proxies.remove_toxic("p", "t").unwrap();
    }

    /// Affected connections and bytes.
    pub(crate) fn hits(&self) -> (u64, u64) {
        let hits = self.proxies.toxic_hits("p", "t").unwrap();
        (hits.connections, hits.bytes)
    }
}

/// A kind by its name and attributes, in the units of the API.
pub(crate) fn kind(name: &str, attributes: &[(&str, u64)]) -> ToxicKind {
    let mut kind = ToxicKind::named(name).unwrap();
    for (attribute, value) in attributes {
        kind.set(attribute, *value);
    }
    kind
}

/// Sends data and waits for its echo.
pub(crate) async fn exchange(client: &mut TcpStream, data: &[u8]) -> io::Result<()> {
    client.write_all(data).await?;
    let mut back = vec![0; data.len()];
    let read = tokio::time::timeout(LONG, client.read_exact(&mut back)).await;
    read.expect("an answer")?;
    assert_eq!(back, data);
    Ok(())
}

/// All data until the end, or the error of a reset.
pub(crate) async fn read_all(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut all = vec![];
    let read = tokio::time::timeout(LONG, client.read_to_end(&mut all)).await;
    read.expect("the end")?;
    Ok(all)
}

/// Waits until a condition is true.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(LONG, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    waited.await.expect("the condition becomes true");
}
