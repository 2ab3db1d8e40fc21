//! Runs a service as a process or a task: two listeners, workers, graceful shutdown.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Kit;
use crate::admin;
use crate::audit::Audit;
use crate::connections::{self, HEADER_TIMEOUT};
use crate::net;
use crate::store::{Store, StoreError};

/// How long requests in progress may take to finish after the shutdown signal.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(1500);

/// Why a service could not be run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be listened on.
    #[error("{what} {address} cannot be listened on: {source}; choose another with --{flag}")]
    Listen {
        /// `shop address` or `admin address`.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// The flag that sets it.
        flag: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The setup failed.
    #[error("{0}")]
    Setup(String),
}

/// A background task of a service: a relay, a recovery.
pub type Worker = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The parts of a service.
pub struct Service {
    /// Its API, wrapped in the server stack.
    pub routes: Router,
    /// Its audit data.
    pub audit: Audit,
    /// Its database, if it has one.
    pub store: Option<Store>,
    /// Its background tasks. Each ends when the token that it was created with is cancelled.
    pub workers: Vec<Worker>,
}

/// Serves until `shutdown`, then drains the requests in progress.
///
/// # Errors
/// An address that cannot be listened on, or an invalid NATS URL.
pub async fn run(
    kit: Kit,
    service: Service,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let config = kit.config();
    if let Some(error) = kit.nats().and_then(|nats| nats.address_error()) {
        return Err(ServeError::Setup(format!(
            "events cannot go by NATS: {error}; set --events to a URL such as nats://127.0.0.1:4222"
        )));
    }
    let listen = |what, flag, address| {
        net::listen(address).map_err(|source| ServeError::Listen {
            what,
            address,
            flag,
            source,
        })
    };
    let shop_listener = listen("shop address", "listen", config.listen)?;
    let admin_listener = listen("admin address", "admin", config.admin)?;
    let admin = admin::router(kit.clone(), service.store.clone(), service.audit);
    let mut tasks = JoinSet::new();
    tasks.spawn(connections::serve(
        shop_listener,
        service.routes,
        HEADER_TIMEOUT,
        shutdown.clone(),
    ));
    tasks.spawn(connections::serve(
        admin_listener,
        admin,
        HEADER_TIMEOUT,
        shutdown.clone(),
    ));
    for worker in service.workers {
        tasks.spawn(worker);
    }
    kit.set_ready(true);
    tracing::info!(listen = %config.listen, admin = %config.admin, "{} is ready", config.target());
    shutdown.cancelled().await;
    kit.set_ready(false);
    // Faults that hold requests or connections would delay the shutdown.
    kit.faults().clear_all();
    let drained = tokio::time::timeout(DRAIN_TIMEOUT, async {
        while tasks.join_next().await.is_some() {}
    });
    if drained.await.is_err() {
        tracing::warn!("requests still in progress were cut off");
        tasks.shutdown().await;
    }
    if let Some(store) = service.store {
        // A fault that was injected meanwhile would keep its connections.
        kit.faults().clear_all();
        store.close().await;
    }
    Ok(())
}
