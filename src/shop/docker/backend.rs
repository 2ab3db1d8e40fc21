//! The backend of containers: implements the interfaces of runs and fault injectors.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use chaos::{
    AdminClient, BoxFuture, Breaker, BreakerWatch, CallerHits, Counts, InjectError, Paths,
    ProcessAction, Processes,
};
use results::record::ResourceRow;

use super::containers::Containers;
use super::service::ServiceContainer;
use crate::http::HttpClient;
use crate::shop::backend::{ShopBackend, TopologyEntry};
use crate::shop::metrics_pages::{MetricsPages, breakers, caller_hits};
use crate::shop::replica::ReplicaId;

impl Containers {
    /// Whether the callers' metrics distinguish this replica from others of its role. They identify a replica by its port,
    /// which may be the same for all.
    fn has_unique_port(&self, role: &str, replica: u32) -> bool {
        let port = |n| self.service(role, n).map(|s| s.info.port);
        let mut others = self
            .services
            .iter()
            .filter(|s| s.info.role.name() == role && s.info.replica != replica);
        others.all(|s| Some(s.info.port) != port(replica))
    }
}

impl ShopBackend for Containers {
    fn topology(&self) -> Vec<TopologyEntry> {
        let unknown = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let entry = |s: &ServiceContainer| {
            let state = s.state();
            TopologyEntry {
                role: s.info.role.name().to_owned(),
                replica: s.info.replica,
                pid: state.pid,
                address: state.shop.unwrap_or(unknown(s.info.port)),
                admin: state.admin.unwrap_or(unknown(0)),
            }
        };
        self.services.iter().map(entry).collect()
    }

    fn states(&self) -> BTreeMap<String, String> {
        let state = |s: &ServiceContainer| (s.target(), s.state_name().to_owned());
        self.services.iter().map(state).collect()
    }

    fn crashes(&self) -> Vec<String> {
        let of = |s: &ServiceContainer| {
            let name = &s.info.name;
            let text = |how| format!("{}: {how}; see `docker logs {name}`", s.target());
            s.crashes().into_iter().map(text).collect::<Vec<_>>()
        };
        self.services.iter().flat_map(of).collect()
    }

    fn resources(&self) -> Vec<ResourceRow> {
        let row = |s: &ServiceContainer| {
            let used = s.usage();
            ResourceRow {
                role: s.info.role.name().to_owned(),
                replica: s.info.replica,
                peak_rss_bytes: used.peak_bytes,
                cpu_s: used.cpu_s,
            }
        };
        self.services.iter().map(row).collect()
    }

    fn admin_client(&self) -> AdminClient {
        AdminClient::new(self.token.clone())
    }

    fn paths(&self) -> Option<Arc<dyn Paths>> {
        // There are no proxies between containers.
        None
    }

    /// Restores disrupted containers, without waiting until they are ready. The containers stay up.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.stop.cancel();
            self.tasks.close();
            self.tasks.wait().await;
            for service in self.services.iter() {
                // Wait for an action in progress.
                drop(service.action_lock.lock().await);
                if service.disruption().is_some()
                    && let Err(e) = self.restore(service).await
                {
                    // The guard tries as well.
                    tracing::error!(target = service.target(), error = %e, "a container was not restored");
                }
            }
            self.guard.close().await;
        })
    }
}

impl Processes for Containers {
    fn replicas(&self, role: &str) -> u32 {
        let of_role = self.services.iter().filter(|s| s.info.role.name() == role);
        of_role.count() as u32
    }

    fn admin_address(&self, role: &str, replica: u32) -> Option<SocketAddr> {
        self.service(role, replica)?.admin()
    }

    fn act<'a>(
        &'a self,
        role: &'a str,
        replica: u32,
        action: ProcessAction,
    ) -> BoxFuture<'a, Result<Option<u32>, InjectError>> {
        Box::pin(self.run_action(role, replica, action))
    }
}

impl MetricsPages for Containers {
    fn http(&self) -> &HttpClient {
        &self.http
    }

    fn admins(&self) -> Vec<(ReplicaId, SocketAddr)> {
        let admin = |s: &ServiceContainer| Some(((s.info.role, s.info.replica), s.admin()?));
        self.services.iter().filter_map(admin).collect()
    }

    fn port_for(&self, _: ReplicaId, (role, replica): ReplicaId) -> Option<u16> {
        Some(self.service(role.name(), replica)?.info.port)
    }
}

impl CallerHits for Containers {
    fn failed_attempts<'a>(&'a self, role: &'a str, replica: u32) -> BoxFuture<'a, Option<Counts>> {
        Box::pin(caller_hits::failed_attempts(self, role, replica))
    }

    fn attempts<'a>(&'a self, role: &'a str, replica: u32) -> BoxFuture<'a, Option<Counts>> {
        if self.has_unique_port(role, replica) {
            Box::pin(caller_hits::attempts(self, role, replica))
        } else {
            // Attempts at other replicas would be counted, too. As a proof, too few hits are better than too many.
            Box::pin(caller_hits::failed_attempts(self, role, replica))
        }
    }
}

impl BreakerWatch for Containers {
    fn is_open<'a>(&'a self, breaker: &'a Breaker) -> BoxFuture<'a, Option<bool>> {
        Box::pin(breakers::is_open(self, breaker))
    }
}
