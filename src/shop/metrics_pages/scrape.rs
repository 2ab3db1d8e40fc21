//! Scrapes the `/metrics` pages of several processes at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::http::HttpClient;
use crate::shop::replica::ReplicaId;

/// Processes with metrics pages.
pub(crate) trait MetricsPages: Sync {
    /// The client for the admin listeners, with their token.
    fn http(&self) -> &HttpClient;

    /// The admin listeners of the processes that run now.
    fn admins(&self) -> Vec<(ReplicaId, SocketAddr)>;

    /// The label `server_port` under which a caller's metrics count its calls to a replica.
    fn port_for(&self, caller: ReplicaId, callee: ReplicaId) -> Option<u16>;
}

/// The time limit of one scrape.
const LIMIT: Duration = Duration::from_millis(500);

/// The pages of the selected processes. A process that does not answer in time is left out.
pub(super) async fn pages(
    shop: &(impl MetricsPages + ?Sized),
    selected: impl Fn(ReplicaId) -> bool,
) -> BTreeMap<ReplicaId, String> {
    let mut scrapes = JoinSet::new();
    for (replica, admin) in shop.admins().into_iter().filter(|(r, _)| selected(*r)) {
        let http = shop.http().clone();
        scrapes.spawn(async move {
            let page = http.get(admin, "/metrics", LIMIT).await.ok()?;
            Some((replica, page))
        });
    }
    scrapes.join_all().await.into_iter().flatten().collect()
}
