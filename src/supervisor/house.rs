//! Child processes as a run sees them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use chaos::{AdminClient, BoxFuture, Breaker, BreakerWatch, CallerHits, Counts, Paths};
use results::record::ResourceRow;

use super::{Member, Supervisor};
use crate::house::{House, Placed};
use crate::http::Http;
use crate::pages::{Pages, Process, breakers, witness};

impl House for Supervisor {
    fn topology(&self) -> Vec<Placed> {
        let placed = |m: &Member| Placed {
            role: m.role.name().to_owned(),
            replica: m.replica,
            pid: m.keeper.pid(),
            address: m.shop.address(),
            admin: m.admin.address(),
        };
        self.members.iter().map(placed).collect()
    }

    fn states(&self) -> BTreeMap<String, String> {
        let state = |m: &Member| (m.target(), m.keeper.state().name().to_owned());
        self.members.iter().map(state).collect()
    }

    fn crashes(&self) -> Vec<String> {
        let of = |m: &Member| {
            let target = m.target();
            let crashes = m.keeper.crashes().into_iter();
            crashes.map(move |how| format!("{target}: {how}"))
        };
        self.members.iter().flat_map(of).collect()
    }

    fn resources(&self) -> Vec<ResourceRow> {
        let row = |m: &Member| {
            let used = m.keeper.used();
            ResourceRow {
                role: m.role.name().to_owned(),
                replica: m.replica,
                peak_rss_bytes: used.peak_rss_bytes,
                cpu_s: used.cpu_s,
            }
        };
        self.members.iter().map(row).collect()
    }

    fn admin_client(&self) -> AdminClient {
        // Its children listen on loopback and ask for no token.
        AdminClient::new(None)
    }

    fn paths(&self) -> Option<Arc<dyn Paths>> {
        Some(Arc::new(self.clone()))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.stop())
    }
}

impl Pages for Supervisor {
    fn http(&self) -> &Http {
        &self.http
    }

    fn admins(&self) -> Vec<(Process, SocketAddr)> {
        let admin = |m: &Member| ((m.role, m.replica), m.admin.address());
        self.members.iter().map(admin).collect()
    }

    /// That of the proxy, where one is between them.
    fn port_for(&self, caller: Process, callee: Process) -> Option<u16> {
        let (role, replica) = callee;
        let direct = self.member(role.name(), replica)?.shop.address();
        Some(self.proxied.address(caller, callee, direct).port())
    }
}

impl CallerHits for Supervisor {
    fn failed_attempts<'a>(&'a self, role: &'a str, replica: u32) -> BoxFuture<'a, Option<Counts>> {
        Box::pin(witness::failed_attempts(self, role, replica))
    }

    fn attempts<'a>(&'a self, role: &'a str, replica: u32) -> BoxFuture<'a, Option<Counts>> {
        Box::pin(witness::attempts(self, role, replica))
    }
}

impl BreakerWatch for Supervisor {
    fn is_open<'a>(&'a self, breaker: &'a Breaker) -> BoxFuture<'a, Option<bool>> {
        Box::pin(breakers::is_open(self, breaker))
    }
}
