//! The interface of a shop's processes, whether they are child processes or containers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use chaos::{AdminClient, BoxFuture, BreakerWatch, CallerHits, Paths, Processes};
use results::record::ResourceRow;
use serde::{Deserialize, Serialize};

use super::metrics_pages::MetricsPages;

/// One process in `topology.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TopologyEntry {
    /// Role.
    pub role: String,
    /// Replica, from 0.
    pub replica: u32,
    /// Process id, while it runs.
    pub pid: Option<u32>,
    /// Listener of the shop's API. All gateways of child processes share one address.
    pub address: SocketAddr,
    /// Admin listener: metrics, health, faults, audit.
    pub admin: SocketAddr,
}

/// The processes of a shop, as a run uses them.
pub(crate) trait ShopBackend: Processes + CallerHits + BreakerWatch + MetricsPages {
    /// Every process with its addresses.
    fn topology(&self) -> Vec<TopologyEntry>;

    /// The state of each process: `order/1` → `ready`, `starting`, `paused` or `down`. A container may also be
    /// `unhealthy`.
    fn states(&self) -> BTreeMap<String, String>;

    /// Exits that no fault caused: `order/1: signal: 6 (SIGABRT)`.
    fn crashes(&self) -> Vec<String>;

    /// Memory and CPU time that each process has used so far.
    fn resources(&self) -> Vec<ResourceRow>;

    /// A client of the services' `/faults`, with their token. Must be called within a runtime.
    fn admin_client(&self) -> AdminClient;

    /// The proxies between the processes, if this backend has any.
    fn paths(&self) -> Option<Arc<dyn Paths>>;

    /// Stops what the backend started, and undoes what faults did to containers.
    fn close(&self) -> BoxFuture<'_, ()>;
}
