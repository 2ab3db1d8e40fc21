//! A running service with a page and a shelf, and a client that reads every byte.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, put};
use shop_contract::Role;
use shop_kit::audit::Audit;
use shop_kit::net::Lease;
use shop_kit::service::{self, Service};
use shop_kit::{Kit, server};
use shop_testkit::config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// Bytes of the page.
pub(crate) const LEN: usize = 2_000;

/// The page's text.
pub(crate) fn page() -> String {
    "0123456789".repeat(LEN / 10)
}

/// A running cart service.
pub(crate) struct Target {
    pub(crate) kit: Kit,
    pub(crate) address: String,
    /// Requests that its handlers have served.
    pub(crate) served: Arc<AtomicU32>,
    stop: CancellationToken,
    _ports: [Lease; 2],
    _folder: tempfile::TempDir,
}

impl Drop for Target {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Target {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lease = || Lease::take(([127, 0, 0, 1], 0).into()).unwrap();
        let ports = [lease(), lease()];
        let mut config = config(Role::Cart, folder.path(), BTreeMap::new());
        config.listen = ports[0].address();
        config.admin = ports[1].address();
        let kit = Kit::new(config);
        let served = Arc::new(AtomicU32::new(0));
        let count = |answer: (StatusCode, String)| {
            let served = Arc::clone(&served);
            move || async move {
                served.fetch_add(1, SeqCst);
                answer
            }
        };
        let shelf = count((StatusCode::NO_CONTENT, String::new()));
        let routes = Router::new()
            .route("/pages/{id}", get(count((StatusCode::OK, page()))))
            .route("/shelves/{id}", put(shelf.clone()).get(shelf));
        let service = Service {
            routes: server::stack(&kit, routes),
            audit: Audit::empty(),
            store: None,
            workers: Vec::new(),
        };
        let stop = CancellationToken::new();
        let run = service::run(kit.clone(), service, stop.clone());
        tokio::spawn(async move { run.await.unwrap() });
        shop_testkit::until("the service", async || kit.is_ready()).await;
        Self {
            kit,
            address: ports[0].address().to_string(),
            served,
            stop,
            _ports: ports,
            _folder: folder,
        }
    }

    pub(crate) fn served(&self) -> u32 {
        self.served.load(SeqCst)
    }

    /// Sends a request with these extra header lines, and leaves the connection open.
    pub(crate) async fn send(&self, what: &str, lines: &[String]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let mut head = format!("{what} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n");
        for line in lines {
            head += &format!("{line}\r\n");
        }
        stream
            .write_all(format!("{head}\r\n").as_bytes())
            .await
            .unwrap();
        stream
    }

    /// Reads the page.
    pub(crate) async fn read(&self) -> RawResponse {
        receive(self.send("GET /pages/1", &[]).await).await
    }

    /// The status of a request with these header lines.
    pub(crate) async fn status(&self, what: &str, lines: &[String]) -> Option<u16> {
        receive(self.send(what, lines).await).await.status()
    }
}

/// All bytes of a response, and how the connection ended.
pub(crate) struct RawResponse {
    bytes: Vec<u8>,
    pub(crate) end: io::Result<()>,
}

/// Reads until the server closes the connection.
pub(crate) async fn receive(mut stream: TcpStream) -> RawResponse {
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes).await.map(drop);
    RawResponse { bytes, end }
}

impl RawResponse {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn split(&self) -> Option<(&str, &[u8])> {
        let end = self.bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&self.bytes[..end]).unwrap();
        Some((head, &self.bytes[end + 4..]))
    }

    pub(crate) fn status(&self) -> Option<u16> {
        let (head, _) = self.split()?;
        head.split(' ').nth(1)?.parse().ok()
    }

    pub(crate) fn content_length(&self) -> Option<usize> {
        let (head, _) = self.split()?;
        let mut lines = head.lines();
        lines.find_map(|l| l.strip_prefix("content-length: ")?.parse().ok())
    }

    pub(crate) fn body(&self) -> &[u8] {
        self.split().map_or(&[], |(_, body)| body)
    }
}
