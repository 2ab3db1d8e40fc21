//! The backend of child processes: implements the interfaces of runs and fault injectors.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chaos::proxy::{Hits, NewToxic, ProxyError};
use chaos::{
    AdminClient, BoxFuture, Breaker, CallerHits, Counts, InjectError, Paths, Processes, Struck,
    Target, Watch,
};
use results::record::ResourceRow;
use tokio::sync::oneshot;

use super::monitor::{Command, State};
use super::paths::Path;
use super::{ServiceProcess, Supervisor};
use crate::http::HttpClient;
use crate::shop::backend::{ShopBackend, TopologyEntry};
use crate::shop::metrics_pages::{MetricsPages, breakers, caller_hits};
use crate::shop::replica::ReplicaId;

impl ShopBackend for Supervisor {
    fn topology(&self) -> Vec<TopologyEntry> {
        let entry = |p: &ServiceProcess| TopologyEntry {
            role: p.role.name().to_owned(),
            replica: p.replica,
            pid: p.monitor.pid(),
            address: p.shop.address(),
            admin: p.admin.address(),
        };
        self.processes.iter().map(entry).collect()
    }

    fn states(&self) -> BTreeMap<String, String> {
        let state = |p: &ServiceProcess| (p.target(), p.monitor.state().name().to_owned());
        self.processes.iter().map(state).collect()
    }

    fn crashes(&self) -> Vec<String> {
        let of = |p: &ServiceProcess| {
            let target = p.target();
            let crashes = p.monitor.crashes().into_iter();
            crashes.map(move |how| format!("{target}: {how}"))
        };
        self.processes.iter().flat_map(of).collect()
    }

    fn resources(&self) -> Vec<ResourceRow> {
        let row = |p: &ServiceProcess| {
            let used = p.monitor.used();
            ResourceRow {
                role: p.role.name().to_owned(),
                replica: p.replica,
                peak_rss_bytes: used.peak_rss_bytes,
                cpu_s: used.cpu_s,
            }
        };
        self.processes.iter().map(row).collect()
    }

    fn admin_client(&self) -> AdminClient {
        // The children's admin listeners are on loopback and need no token.
        AdminClient::new(None)
    }

    fn paths(&self) -> Option<Arc<dyn Paths>> {
        Some(Arc::new(self.clone()))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.stop_all())
    }
}

impl Supervisor {
    async fn disrupt(
        &self,
        role: &str,
        replica: u32,
        command: impl FnOnce(oneshot::Sender<Result<u32, String>>) -> Command,
    ) -> Result<Struck, InjectError> {
        let pid = self.command(role, replica, command).await?;
        Ok(Struck { pid })
    }
}

impl Processes for Supervisor {
    fn replicas(&self, role: &str) -> u32 {
        self.processes
            .iter()
            .filter(|p| p.role.name() == role)
            .count() as u32
    }

    fn admin_address(&self, role: &str, replica: u32) -> Option<SocketAddr> {
        let process = self.process(role, replica)?;
        matches!(process.monitor.state(), State::Ready | State::Starting)
            .then(|| process.admin.address())
    }

    fn kill<'a>(
        &'a self,
        role: &'a str,
        replica: u32,
    ) -> BoxFuture<'a, Result<Struck, InjectError>> {
        Box::pin(self.disrupt(role, replica, Command::Kill))
    }

    fn stop<'a>(
        &'a self,
        role: &'a str,
        replica: u32,
    ) -> BoxFuture<'a, Result<Struck, InjectError>> {
        Box::pin(self.disrupt(role, replica, Command::Stop))
    }

    fn restart<'a>(
        &'a self,
        role: &'a str,
        replica: u32,
        late: Duration,
    ) -> BoxFuture<'a, Result<(), InjectError>> {
        Box::pin(self.command(role, replica, move |tx| Command::Restart(late, tx)))
    }

    fn pause<'a>(
        &'a self,
        role: &'a str,
        replica: u32,
        most: Duration,
    ) -> BoxFuture<'a, Result<Struck, InjectError>> {
        Box::pin(self.disrupt(role, replica, move |tx| Command::Pause(most, tx)))
    }

    fn resume<'a>(&'a self, role: &'a str, replica: u32) -> BoxFuture<'a, Result<(), InjectError>> {
        Box::pin(self.command(role, replica, Command::Resume))
    }
}

impl MetricsPages for Supervisor {
    fn http(&self) -> &HttpClient {
        &self.http
    }

    fn admins(&self) -> Vec<(ReplicaId, SocketAddr)> {
        let admin = |p: &ServiceProcess| ((p.role, p.replica), p.admin.address());
        self.processes.iter().map(admin).collect()
    }

    /// The port of the proxy between the two, or of the callee itself.
    fn port_for(&self, caller: ReplicaId, callee: ReplicaId) -> Option<u16> {
        let (role, replica) = callee;
        let direct = self.process(role.name(), replica)?.shop.address();
        Some(self.proxies.address(caller, callee, direct).port())
    }
}

impl CallerHits for Supervisor {
    fn failed_attempts<'a>(&'a self, role: &'a str, replica: u32) -> BoxFuture<'a, Option<Counts>> {
        Box::pin(caller_hits::failed_attempts(self, role, replica))
    }

    fn attempts<'a>(&'a self, role: &'a str, replica: u32) -> BoxFuture<'a, Option<Counts>> {
        Box::pin(caller_hits::attempts(self, role, replica))
    }
}

impl Watch for Supervisor {
    fn is_open<'a>(&'a self, breaker: &'a Breaker) -> BoxFuture<'a, Option<bool>> {
        Box::pin(breakers::is_open(self, breaker))
    }
}

impl Paths for Supervisor {
    fn on_way(&self, edge: &Target) -> Vec<String> {
        let on_edge = self.proxies.paths().filter(|path| path.is_on(edge));
        on_edge.map(Path::name).collect()
    }

    fn add<'a>(&'a self, path: &'a str, toxic: NewToxic) -> BoxFuture<'a, Result<(), InjectError>> {
        let added = self.proxies.proxies.add_toxic(path, toxic);
        Box::pin(async move { added.map(drop).map_err(|e| failure(path, &e)) })
    }

    fn remove<'a>(
        &'a self,
        path: &'a str,
        toxic: &'a str,
    ) -> BoxFuture<'a, Result<(), InjectError>> {
        let removed = match self.proxies.proxies.remove_toxic(path, toxic) {
            Err(ProxyError::ToxicNotFound) => Ok(()),
            removed => removed.map(drop),
        };
        Box::pin(async move { removed.map_err(|e| failure(path, &e)) })
    }

    fn hits<'a>(
        &'a self,
        path: &'a str,
        toxic: &'a str,
    ) -> BoxFuture<'a, Result<Hits, InjectError>> {
        let hits = self.proxies.proxies.toxic_hits(path, toxic);
        Box::pin(async move { hits.map_err(|e| failure(path, &e)) })
    }
}

fn failure(path: &str, error: &ProxyError) -> InjectError {
    InjectError::Path {
        way: path.to_owned(),
        reason: error.to_string(),
    }
}
