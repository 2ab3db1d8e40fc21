//! A proxy while it is enabled: its listening socket, and its connections.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::link::{Traffic, carry};
use super::toxics::Toxics;

/// A client is left waiting for its upstream for so long.
const DIAL_LIMIT: Duration = Duration::from_secs(30);
/// After an accept that failed, mostly for want of file descriptors, which trying again at once does not bring.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// What a proxy counts, over all the times it was enabled.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Accepted. It also numbers them.
    pub accepted: AtomicU64,
    pub open: AtomicU64,
    /// Closed since the upstream could not be reached.
    pub dial_failed: AtomicU64,
    pub upstream: Traffic,
    pub downstream: Traffic,
}

/// A proxy at work.
#[derive(Debug)]
pub(super) struct Running {
    pub address: SocketAddr,
    token: CancellationToken,
    tasks: TaskTracker,
}

impl Running {
    /// Listens, and carries what comes to `upstream` until it is stopped or `shutdown` is cancelled.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(super) async fn start(
        address: SocketAddr,
        upstream: String,
        toxics: Arc<Toxics>,
        counts: Arc<Counts>,
        shutdown: &CancellationToken,
    ) -> io::Result<Self> {
        let listener = match TcpListener::bind(address).await {
            // Every address of this machine, on one without IPv6.
            Err(e) if e.raw_os_error() == Some(NO_IPV6) && address.ip().is_unspecified() => {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
            }
            bound => bound,
        }?;
        let address = listener.local_addr()?;
        let token = shutdown.child_token();
        let tasks = TaskTracker::new();
        let proxy = Accepting {
            upstream: upstream.into(),
            toxics,
            counts,
            token: token.clone(),
            tasks: tasks.clone(),
        };
        tasks.spawn(proxy.accept(listener));
        Ok(Self {
            address,
            token,
            tasks,
        })
    }

    /// Closes the port and every connection; returns when they are closed.
    pub(super) async fn stop(self) {
        self.token.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// EAFNOSUPPORT of Linux; elsewhere the error stands.
const NO_IPV6: i32 = 97;

struct Accepting {
    upstream: Arc<str>,
    toxics: Arc<Toxics>,
    counts: Arc<Counts>,
    token: CancellationToken,
    tasks: TaskTracker,
}

impl Accepting {
    async fn accept(self, listener: TcpListener) {
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
            let open = Open::new(self.counts.clone());
            let (upstream, toxics) = (self.upstream.clone(), self.toxics.clone());
            let token = self.token.clone();
            self.tasks.spawn(async move {
                tokio::select! {
                    biased;
                    () = token.cancelled() => {}
                    () = open.serve(client, &upstream, &toxics) => {}
                }
            });
        }
    }
}

/// A connection, counted as open for as long as this lives.
struct Open {
    number: u64,
    counts: Arc<Counts>,
}

impl Open {
    fn new(counts: Arc<Counts>) -> Self {
        counts.open.fetch_add(1, Relaxed);
        Self {
            number: counts.accepted.fetch_add(1, Relaxed),
            counts,
        }
    }

    async fn serve(&self, client: TcpStream, upstream: &str, toxics: &Toxics) {
        let dialled = tokio::time::timeout(DIAL_LIMIT, TcpStream::connect(upstream)).await;
        let reason = match dialled {
            Ok(Ok(server)) => {
                let traffic = [&self.counts.upstream, &self.counts.downstream];
                return carry(self.number, client, server, toxics.subscribe(), traffic).await;
            }
            // It was there, and reset the connection before we looked: no other end than its client's own.
            Ok(Err(e)) if e.kind() == io::ErrorKind::ConnectionReset => {
                let _ = client.set_zero_linger();
                return;
            }
            Ok(Err(e)) => e.to_string(),
            Err(_) => format!("no answer within {DIAL_LIMIT:?}"),
        };
        self.counts.dial_failed.fetch_add(1, Relaxed);
        tracing::debug!(upstream, reason, "the upstream cannot be reached");
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.counts.open.fetch_sub(1, Relaxed);
    }
}
