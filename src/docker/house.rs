//! Containers as a run sees them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use chaos::{AdminClient, BoxFuture, Breaker, BreakerWatch, CallerHits, Counts, Paths};
use results::record::ResourceRow;
use shop_contract::Role;

use super::Containers;
use super::member::Member;
use crate::house::{House, Placed};
use crate::http::Http;
use crate::pages::{Pages, Process, breakers, witness};

impl Containers {
    /// Whether callers' figures tell this replica from the others of its role: they know it by its port, which all of
    /// them may have alike.
    fn has_port_of_its_own(&self, role: &str, replica: u32) -> bool {
        let port = |n| self.member(role, n).map(|m| m.found.port);
        let mut others = self
            .members
            .iter()
            .filter(|m| m.found.role.name() == role && m.found.replica != replica);
        others.all(|m| Some(m.found.port) != port(replica))
    }
}

impl House for Containers {
    fn topology(&self) -> Vec<Placed> {
        let nowhere = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let placed = |m: &Member| {
            let standing = m.standing();
            Placed {
                role: m.found.role.name().to_owned(),
                replica: m.found.replica,
                pid: standing.pid,
                address: standing.shop.unwrap_or(nowhere(m.found.port)),
                admin: standing.admin.unwrap_or(nowhere(0)),
            }
        };
        self.members.iter().map(placed).collect()
    }

    fn states(&self) -> BTreeMap<String, String> {
        let state = |m: &Member| (m.target(), m.state().to_owned());
        self.members.iter().map(state).collect()
    }

    fn crashes(&self) -> Vec<String> {
        let of = |m: &Member| {
            let name = &m.found.name;
            let told = |how| format!("{}: {how}; see `docker logs {name}`", m.target());
            m.crashes().into_iter().map(told).collect::<Vec<_>>()
        };
        self.members.iter().flat_map(of).collect()
    }

    fn resources(&self) -> Vec<ResourceRow> {
        let row = |m: &Member| {
            let used = m.used();
            ResourceRow {
                role: m.found.role.name().to_owned(),
                replica: m.found.replica,
                peak_rss_bytes: used.peak_bytes,
                cpu_s: used.cpu_s,
            }
        };
        self.members.iter().map(row).collect()
    }

    fn admin_client(&self) -> AdminClient {
        AdminClient::new(self.token.clone())
    }

    fn paths(&self) -> Option<Arc<dyn Paths>> {
        // Nothing of ours stands between containers.
        None
    }

    /// The containers stay; those that a fault has struck are mended, without waiting until they are ready.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.stop.cancel();
            self.tasks.close();
            self.tasks.wait().await;
            for member in self.members.iter() {
                // An order that is under way ends first.
                drop(member.turn.lock().await);
                if member.struck().is_some()
                    && let Err(e) = self.mend(member).await
                {
                    // The guard tries as well.
                    tracing::error!(target = member.target(), error = %e, "a container was not mended");
                }
            }
            self.guard.close().await;
        })
    }
}

impl Pages for Containers {
    fn http(&self) -> &Http {
        &self.http
    }

    fn admins(&self) -> Vec<(Process, SocketAddr)> {
        let admin = |m: &Member| Some(((m.found.role, m.found.replica), m.admin()?));
        self.members.iter().filter_map(admin).collect()
    }

    fn port_for(&self, _: Process, (role, replica): (Role, u32)) -> Option<u16> {
        Some(self.member(role.name(), replica)?.found.port)
    }
}

impl CallerHits for Containers {
    fn failed_attempts<'a>(&'a self, role: &'a str, replica: u32) -> BoxFuture<'a, Option<Counts>> {
        Box::pin(witness::failed_attempts(self, role, replica))
    }

    fn attempts<'a>(&'a self, role: &'a str, replica: u32) -> BoxFuture<'a, Option<Counts>> {
        if self.has_port_of_its_own(role, replica) {
            Box::pin(witness::attempts(self, role, replica))
        } else {
            // Those that others have answered would count as well. Too few is better than too many for a proof.
            Box::pin(witness::failed_attempts(self, role, replica))
        }
    }
}

impl BreakerWatch for Containers {
    fn is_open<'a>(&'a self, breaker: &'a Breaker) -> BoxFuture<'a, Option<bool>> {
        Box::pin(breakers::is_open(self, breaker))
    }
}
