//! What a run needs of a shop's processes, whoever has started them: child processes of this one, or containers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use chaos::{AdminClient, BoxFuture, BreakerWatch, CallerHits, Paths, Processes};
use results::record::ResourceRow;
use serde::{Deserialize, Serialize};
use shop_contract::Role;

use crate::audit::Doors;
use crate::pages::Pages;

/// A line of `topology.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Placed {
    /// Role.
    pub role: String,
    /// Replica, from 0.
    pub replica: u32,
    /// Process id, while it runs.
    pub pid: Option<u32>,
    /// Where it serves the shop. All gateways of child processes have the same one.
    pub address: SocketAddr,
    /// Where it serves its operators.
    pub admin: SocketAddr,
}

/// A shop's processes, as a run sees them.
pub(crate) trait House: Processes + CallerHits + BreakerWatch + Pages {
    /// Every process and where it is.
    fn topology(&self) -> Vec<Placed>;

    /// The state of each process: `order/1` → `ready`, `starting`, `paused` or `down`; a container may be `unhealthy`
    /// as well.
    fn states(&self) -> BTreeMap<String, String>;

    /// Deaths that nobody ordered: `order/1: signal: 6 (SIGABRT)`.
    fn crashes(&self) -> Vec<String>;

    /// What each process has used so far.
    fn resources(&self) -> Vec<ResourceRow>;

    /// A client of the admin listeners' faults, with the token that they want to see. To be made within a runtime.
    fn admin_client(&self) -> AdminClient;

    /// The proxies on its paths, where it can have some.
    fn paths(&self) -> Option<Arc<dyn Paths>>;

    /// Gives back what was taken: children end, containers that a fault has struck go on.
    fn close(&self) -> BoxFuture<'_, ()>;

    /// Where the services tell what they hold.
    fn doors(&self) -> Doors {
        let mut admins: BTreeMap<Role, Vec<String>> = BTreeMap::new();
        for ((role, _), admin) in self.admins() {
            admins.entry(role).or_default().push(admin.to_string());
        }
        Doors::new(self.http().clone(), admins)
    }
}
