//! The backend of child processes: implements the interfaces of runs and fault injectors.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use chaos::proxy::Proxies;
use chaos::{
    AdminClient, BoxFuture, Breaker, BreakerWatch, CallerHits, Counts, InjectError, Paths,
    ProcessAction, Processes, Target,
};
use results::record::ResourceRow;

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

    fn act<'a>(
        &'a self,
        role: &'a str,
        replica: u32,
        action: ProcessAction,
    ) -> BoxFuture<'a, Result<Option<u32>, InjectError>> {
        Box::pin(async move {
            match action {
                ProcessAction::Kill => self.command(role, replica, Command::Kill).await.map(Some),
                ProcessAction::Stop => self.command(role, replica, Command::Stop).await.map(Some),
                ProcessAction::Pause { at_most } => {
                    let pause = |tx| Command::Pause(at_most, tx);
                    self.command(role, replica, pause).await.map(Some)
                }
                ProcessAction::Start { delay } => {
                    let restart = |tx| Command::Restart(delay, tx);
                    self.command(role, replica, restart).await.map(|()| None)
                }
                ProcessAction::Resume => {
                    let resumed = self.command(role, replica, Command::Resume).await;
                    resumed.map(|()| None)
                }
            }
        })
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

impl BreakerWatch for Supervisor {
    fn is_open<'a>(&'a self, breaker: &'a Breaker) -> BoxFuture<'a, Option<bool>> {
        Box::pin(breakers::is_open(self, breaker))
    }
}

impl Paths for Supervisor {
    fn on_edge(&self, edge: &Target) -> Vec<String> {
        let on_edge = self.proxies.paths().filter(|path| path.is_on(edge));
        on_edge.map(Path::name).collect()
    }

    fn proxies(&self) -> &Proxies {
        &self.proxies.proxies
    }
}
