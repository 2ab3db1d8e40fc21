//! Proxies between the services and NATS. Each injects a fault into the one message for which it is armed.
//!
//! NATS uses a text protocol, so a message is recognised by its bytes: `HPUB … shop.orders` goes up when an event is
//! published and a receipt with `"stream":` comes down; `HMSG … shop.orders` comes down to a subscriber, which sends
//! `$JS.ACK` up when it has acted on it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::http_proxy::{ActiveFault, ArmedFaults, CallFault};
use crate::processes::{Processes, ReplicaId};

/// As the method of an armed fault: a service publishes an event.
pub(crate) const PUBLISH: &str = "PUBLISH";
/// As the method of an armed fault: a subscriber gets an event.
pub(crate) const DELIVER: &str = "DELIVER";
/// As the path of an armed fault: the subject of order events.
pub(crate) const ORDERS: &str = "shop.orders";

/// Bytes kept from earlier reads, so that a text in two parts is found. Longer than any text that is searched.
const TAIL: usize = 256;

/// The proxy of one service.
#[derive(Clone)]
pub(crate) struct NatsProxy {
    pub(crate) service: ReplicaId,
    pub(crate) server: SocketAddr,
    pub(crate) armed: ArmedFaults,
    pub(crate) processes: Processes,
}

/// One connection through a proxy.
#[derive(Clone)]
struct Connection {
    proxy: NatsProxy,
    /// A fault that waits for the acknowledgement of its message.
    waiting: Arc<Mutex<Option<ActiveFault>>>,
    closed: CancellationToken,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToServer,
    FromServer,
}

impl NatsProxy {
    /// Opens the proxy and gives its address.
    pub(crate) async fn open(self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((service, _)) = listener.accept().await {
                // Without a server the connection is closed, as it would be without a proxy.
                let Ok(server) = TcpStream::connect(self.server).await else {
                    continue;
                };
                let connection = Connection {
                    proxy: self.clone(),
                    waiting: Arc::default(),
                    closed: CancellationToken::new(),
                };
                let (from_service, to_service) = service.into_split();
                let (from_server, to_server) = server.into_split();
                let up = connection
                    .clone()
                    .pump(Direction::ToServer, from_service, to_server);
                let down = connection.pump(Direction::FromServer, from_server, to_service);
                tokio::spawn(up);
                tokio::spawn(down);
            }
        });
        address
    }
}

impl Connection {
    async fn pump(self, direction: Direction, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut buffer = vec![0; 64 * 1024];
        let mut seen = Vec::new();
        loop {
            let read = tokio::select! {
                read = from.read(&mut buffer) => read.unwrap_or(0),
                () = self.closed.cancelled() => 0,
            };
            if read == 0 {
                break;
            }
            let bytes = &buffer[..read];
            let known = seen.len();
            seen.extend_from_slice(bytes);
            if !self.may_pass(direction, &seen, known) || to.write_all(bytes).await.is_err() {
                break;
            }
            let old = seen.len().saturating_sub(TAIL);
            seen.drain(..old);
        }
        self.closed.cancel();
    }

    /// Whether the bytes may pass. If not, the connection is closed. The first `known` bytes have already passed.
    fn may_pass(&self, direction: Direction, seen: &[u8], known: usize) -> bool {
        let (message, ack, method) = match direction {
            Direction::ToServer => ("HPUB ", "$JS.ACK", PUBLISH),
            Direction::FromServer => ("HMSG ", "\"stream\":", DELIVER),
        };
        let has_new = |text: &str| {
            // Only new bytes: the earlier ones may be the acknowledgement of an earlier message.
            let new = &seen[known.saturating_sub(text.len() - 1)..];
            new.windows(text.len()).any(|w| w == text.as_bytes())
        };
        let has = |text: &str| seen.windows(text.len()).any(|w| w == text.as_bytes());
        let mut waiting = self.waiting.lock().unwrap();
        if waiting.is_some() && has_new(ack) {
            let active = waiting.take();
            if matches!(
                active.as_ref().map(ActiveFault::fault),
                Some(CallFault::CallerDiesAfter | CallFault::CalleeDiesAfter)
            ) {
                self.proxy.processes.kill(self.proxy.service);
            }
            return false;
        }
        if !(has(message) && has_new(ORDERS)) {
            return true;
        }
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let Some(active) = self.proxy.armed.take(self.proxy.service.0, &method, ORDERS) else {
            return true;
        };
        match active.fault() {
            CallFault::CallerDiesBefore | CallFault::CalleeDiesBefore => {
                self.proxy.processes.kill(self.proxy.service);
                false
            }
            CallFault::ResponseLost | CallFault::CallerDiesAfter | CallFault::CalleeDiesAfter => {
                *waiting = Some(active);
                true
            }
            CallFault::Fails | CallFault::ReleasedFirst => false,
        }
    }
}
