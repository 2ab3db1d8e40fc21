//! The lines of the services to NATS, and what they do to the one message that they are armed for.
//!
//! NATS speaks a text protocol, so a message is known by its bytes: `HPUB … shop.orders` goes up when an event is
//! published and a receipt with `"stream":` comes down; `HMSG … shop.orders` comes down to a subscriber, which sends
//! `$JS.ACK` up when it has acted on it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::processes::{Name, Processes};
use crate::strike::{Armed, Blow, Falling};

/// As a strike's method: an event goes to the server.
pub(crate) const PUBLISH: &str = "PUBLISH";
/// As a strike's method: an event comes to a subscriber.
pub(crate) const DELIVER: &str = "DELIVER";
/// As a strike's path: where events of orders go.
pub(crate) const ORDERS: &str = "shop.orders";

/// Kept of what went before, so that a text is found that came in two parts. Longer than any that is looked for.
const TAIL: usize = 256;

/// The line of one service.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) service: Name,
    pub(crate) server: SocketAddr,
    pub(crate) armed: Armed,
    pub(crate) processes: Processes,
}

/// A connection on a line.
#[derive(Clone)]
struct Connection {
    line: Line,
    /// A strike that waits for the answer to the message it is for.
    waiting: Arc<Mutex<Option<Falling>>>,
    cut: CancellationToken,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    ToServer,
    FromServer,
}

impl Line {
    /// Opens the proxy and gives its address.
    pub(crate) async fn open(self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((service, _)) = listener.accept().await {
                // Without a server the connection ends at once, as it would without a proxy.
                let Ok(server) = TcpStream::connect(self.server).await else {
                    continue;
                };
                let connection = Connection {
                    line: self.clone(),
                    waiting: Arc::default(),
                    cut: CancellationToken::new(),
                };
                let (from_service, to_service) = service.into_split();
                let (from_server, to_server) = server.into_split();
                let up = connection
                    .clone()
                    .pump(Way::ToServer, from_service, to_server);
                let down = connection.pump(Way::FromServer, from_server, to_service);
                tokio::spawn(up);
                tokio::spawn(down);
            }
        });
        address
    }
}

impl Connection {
    async fn pump(self, way: Way, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut buffer = vec![0; 64 * 1024];
        let mut seen = Vec::new();
        loop {
            let read = tokio::select! {
                read = from.read(&mut buffer) => read.unwrap_or(0),
                () = self.cut.cancelled() => 0,
            };
            if read == 0 {
                break;
            }
            let passed = &buffer[..read];
            let known = seen.len();
            seen.extend_from_slice(passed);
            // Either end may be gone; then the next read finds out.
            if !self.may_pass(way, &seen, known) || to.write_all(passed).await.is_err() {
                break;
            }
            let old = seen.len().saturating_sub(TAIL);
            seen.drain(..old);
        }
        self.cut.cancel();
    }

    /// Whether the bytes may go on; otherwise the connection is to be cut. The first `known` of them have passed already.
    fn may_pass(&self, way: Way, seen: &[u8], known: usize) -> bool {
        let (message, answer, method) = match way {
            Way::ToServer => ("HPUB ", "$JS.ACK", PUBLISH),
            Way::FromServer => ("HMSG ", "\"stream\":", DELIVER),
        };
        let holds = |text: &str| {
            // Not what was there before: it may be the answer to an earlier message.
            let new = &seen[known.saturating_sub(text.len() - 1)..];
            new.windows(text.len()).any(|w| w == text.as_bytes())
        };
        let held = |text: &str| seen.windows(text.len()).any(|w| w == text.as_bytes());
        let mut waiting = self.waiting.lock().unwrap();
        if waiting.is_some() && holds(answer) {
            let falling = waiting.take();
            if matches!(
                falling.as_ref().map(Falling::blow),
                Some(Blow::CallerDiesAfter | Blow::CalleeDiesAfter)
            ) {
                self.line.processes.kill(self.line.service);
            }
            return false;
        }
        if !(held(message) && holds(ORDERS)) {
            return true;
        }
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let Some(falling) = self.line.armed.take(self.line.service.0, &method, ORDERS) else {
            return true;
        };
        match falling.blow() {
            Blow::CallerDiesBefore | Blow::CalleeDiesBefore => {
                self.line.processes.kill(self.line.service);
                false
            }
            Blow::AnswerLost | Blow::CallerDiesAfter | Blow::CalleeDiesAfter => {
                *waiting = Some(falling);
                true
            }
            Blow::Fails | Blow::ReleasedFirst => false,
        }
    }
}
