//! What the tests stand on: a server that echoes, a proxy before it, and clients.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use chaos::proxy::{Kind, NewToxic, Proxies};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Far longer than any test takes.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A server that sends back what it gets, and ends when its client does.
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

/// An address where nobody listens.
pub(crate) async fn nowhere() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

/// One proxy called `p`, before a server that echoes.
pub(crate) struct House {
    pub(crate) proxies: Proxies,
    pub(crate) address: SocketAddr,
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::before(echo().await).await
    }

    pub(crate) async fn before(upstream: SocketAddr) -> Self {
        let proxies = Proxies::new(7, CancellationToken::new());
        let upstream = upstream.to_string();
        let opened = proxies.open("p", "127.0.0.1:0", &upstream);
        let address = opened.await.unwrap();
        Self { proxies, address }
    }

    pub(crate) async fn client(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A client whose connection is known to have come through.
    pub(crate) async fn met(&self) -> TcpStream {
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

    /// Connections and bytes.
    pub(crate) fn hits(&self) -> (u64, u64) {
        let hits = self.proxies.toxic_hits("p", "t").unwrap();
        (hits.connections, hits.bytes)
    }
}

/// A kind by its name and attributes in the API's units.
pub(crate) fn kind(name: &str, attributes: &[(&str, u64)]) -> Kind {
    let mut kind = Kind::named(name).unwrap();
    for (attribute, value) in attributes {
        kind.set(attribute, *value);
    }
    kind
}

/// Sends, and waits for all of it to come back.
pub(crate) async fn exchange(client: &mut TcpStream, data: &[u8]) -> io::Result<()> {
    client.write_all(data).await?;
    let mut back = vec![0; data.len()];
    let read = tokio::time::timeout(LONG, client.read_exact(&mut back)).await;
    read.expect("an answer")?;
    assert_eq!(back, data);
    Ok(())
}

/// What comes until the end, or the reset.
pub(crate) async fn rest(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut all = vec![];
    let read = tokio::time::timeout(LONG, client.read_to_end(&mut all)).await;
    read.expect("the end")?;
    Ok(all)
}

/// Waits for what must become true.
pub(crate) async fn until(mut is_so: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(LONG, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    waited.await.expect("it comes true");
}
