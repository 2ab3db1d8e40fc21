//! A service as a process or a task: two listeners, some workers, a graceful end.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use shop_contract::faults::Touches;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Kit;
use crate::admin;
use crate::audit::Audit;
use crate::connections::{self, HEAD};
use crate::net;
use crate::store::{Store, StoreError};

/// How long requests that are under way may take to finish after the service was told to stop.
const DRAIN: Duration = Duration::from_millis(1500);

/// Why a service could not be served.
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
        /// Why not.
        source: io::Error,
    },
    /// Its database does not work.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot be set up.
    #[error("{0}")]
    Setup(String),
}

/// Something that a service does besides answering: a relay, a recovery.
pub type Worker = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a service is made of.
pub struct Service {
    /// Its API, with the server stack around it.
    pub routes: Router,
    /// What it holds.
    pub audit: Audit,
    /// Its database, where it has one.
    pub store: Option<Store>,
    /// What it does by itself. Each ends when the token it was made with is cancelled.
    pub workers: Vec<Worker>,
}

/// Serves until `shutdown`, then lets requests under way finish.
///
/// # Errors
/// An address that cannot be listened on.
pub async fn run(
    kit: Kit,
    service: Service,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let config = kit.config();
    if let Some(mistake) = kit.nats().and_then(|nats| nats.mistake()) {
        return Err(ServeError::Setup(format!(
            "events cannot go by NATS: {mistake}; set --events to a URL such as nats://127.0.0.1:4222"
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
    let shop = listen("shop address", "listen", config.listen)?;
    let operators = listen("admin address", "admin", config.admin)?;
    if let Some(store) = &service.store {
        let doer = Arc::new(store.clone());
        kit.faults().register(Touches::Database, doer);
    }
    let admin = admin::router(kit.clone(), service.store.clone(), service.audit);
    let mut tasks = JoinSet::new();
    tasks.spawn(connections::serve(
        shop,
        service.routes,
        HEAD,
        shutdown.clone(),
    ));
    tasks.spawn(connections::serve(operators, admin, HEAD, shutdown.clone()));
    for worker in service.workers {
        tasks.spawn(worker);
    }
    kit.set_ready(true);
    tracing::info!(listen = %config.listen, admin = %config.admin, "{} is ready", config.target());
    shutdown.cancelled().await;
    kit.set_ready(false);
    // What is in the way of requests, or keeps connections, would be in the way of the end as well.
    kit.faults().clear_all();
    let drained = tokio::time::timeout(DRAIN, async { while tasks.join_next().await.is_some() {} });
    if drained.await.is_err() {
        tracing::warn!("requests still under way were cut off");
        tasks.shutdown().await;
    }
    if let Some(store) = service.store {
        // One that was being asked for meanwhile would keep its connections.
        kit.faults().clear_all();
        store.close().await;
    }
    Ok(())
}
