//! An enabled proxy: its listening socket and its connections.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::link::{Traffic, relay};
use super::toxics::Toxics;

/// How long connecting to the upstream may take.
const DIAL_LIMIT: Duration = Duration::from_secs(30);
/// Pause after a failed accept. The usual cause is a lack of file descriptors, which an immediate retry does not fix.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// The counters of a proxy. Disabling it does not reset them.
#[derive(Debug, Default)]
pub(super) struct ProxyCounters {
    /// Connections accepted. It is also the source of connection numbers.
    pub accepted: AtomicU64,
    pub open: AtomicU64,
    /// Connections closed because the upstream could not be reached.
    pub dial_failed: AtomicU64,
    pub upstream: Traffic,
    pub downstream: Traffic,
}

/// A running proxy.
#[derive(Debug)]
pub(super) struct RunningProxy {
    pub address: SocketAddr,
    token: CancellationToken,
    tasks: TaskTracker,
}

impl RunningProxy {
    /// Listens, and relays connections to `upstream` until it is stopped or `shutdown` is cancelled.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(super) async fn start(
        address: SocketAddr,
        upstream: String,
        toxics: Arc<Toxics>,
        counters: Arc<ProxyCounters>,
        shutdown: &CancellationToken,
    ) -> io::Result<Self> {
        let listener = match TcpListener::bind(address).await {
            // On a machine without IPv6, `[::]` fails and `0.0.0.0` is meant.
            Err(e) if e.raw_os_error() == Some(NO_IPV6) && address.ip().is_unspecified() => {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
            }
            bound => bound,
        }?;
        let address = listener.local_addr()?;
        let token = shutdown.child_token();
        let tasks = TaskTracker::new();
        let acceptor = Acceptor {
            upstream: upstream.into(),
            toxics,
            counters,
            token: token.clone(),
            tasks: tasks.clone(),
        };
        tasks.spawn(acceptor.run(listener));
        Ok(Self {
            address,
            token,
            tasks,
        })
    }

    /// Closes the port and every connection, and waits until they are closed.
    pub(super) async fn stop(self) {
        self.token.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// EAFNOSUPPORT on Linux. On other systems there is no fallback.
const NO_IPV6: i32 = 97;

struct Acceptor {
    upstream: Arc<str>,
    toxics: Arc<Toxics>,
    counters: Arc<ProxyCounters>,
    token: CancellationToken,
    tasks: TaskTracker,
}

impl Acceptor {
    async fn run(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.token.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let client = match accepted {
                Ok((client, _)) => client,
                Err(e) => {
                    tracing::warn!(error = %e, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let connection = OpenConnection::new(self.counters.clone());
            let (upstream, toxics) = (self.upstream.clone(), self.toxics.clone());
            let token = self.token.clone();
            self.tasks.spawn(async move {
                tokio::select! {
                    biased;
                    () = token.cancelled() => {}
                    () = connection.serve(client, &upstream, &toxics) => {}
                }
            });
        }
    }
}

/// A connection. It is counted as open until this is dropped.
struct OpenConnection {
    number: u64,
    counters: Arc<ProxyCounters>,
}

impl OpenConnection {
    fn new(counters: Arc<ProxyCounters>) -> Self {
        counters.open.fetch_add(1, Relaxed);
        Self {
            number: counters.accepted.fetch_add(1, Relaxed),
            counters,
        }
    }

    async fn serve(&self, client: TcpStream, upstream: &str, toxics: &Toxics) {
        let dialled = tokio::time::timeout(DIAL_LIMIT, TcpStream::connect(upstream)).await;
        let reason = match dialled {
            Ok(Ok(server)) => {
                let traffic = [&self.counters.upstream, &self.counters.downstream];
                return relay(self.number, client, server, toxics.subscribe(), traffic).await;
            }
            // The upstream accepted and then reset the connection, so the client gets a reset as well.
            Ok(Err(e)) if e.kind() == io::ErrorKind::ConnectionReset => {
                let _ = client.set_zero_linger();
                return;
            }
            Ok(Err(e)) => e.to_string(),
            Err(_) => format!("no answer within {DIAL_LIMIT:?}"),
        };
        self.counters.dial_failed.fetch_add(1, Relaxed);
        tracing::debug!(upstream, reason, "the upstream cannot be reached");
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.counters.open.fetch_sub(1, Relaxed);
    }
}
