//! TCP proxies between child processes, on the edges that a scenario's faults target. Other edges have no proxy.
//!
//! Each calling replica has its own proxy to each called replica, so that a fault of one caller affects no other. The
//! proxies run in this process and end with it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use chaos::proxy::Proxies;
use chaos::{Fault, FaultKind, Target};
use shop_contract::Role;
use tokio_util::sync::CancellationToken;

use crate::shop::replica::ReplicaId;

/// The most proxies of a shop. A scenario with more is taken for a mistake.
const MAX_PROXIES: usize = 512;

/// The path from one replica to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Path {
    from: ReplicaId,
    to: ReplicaId,
}

impl Path {
    /// `payment/0->bank/0`.
    pub(super) fn name(&self) -> String {
        let ((from, m), (to, n)) = (self.from, self.to);
        format!("{from}/{m}->{to}/{n}")
    }

    /// Whether the path belongs to an edge such as `payment->bank`.
    pub(super) fn is_on(&self, edge: &Target) -> bool {
        let (from, replica) = self.from;
        edge.role == from.name()
            && edge.replica.is_none_or(|n| n == replica)
            && edge.to.as_deref() == Some(self.to.0.name())
    }
}

/// The edges that path faults target.
pub(crate) fn edges(faults: &[Fault]) -> Vec<Target> {
    let of_paths = faults
        .iter()
        .filter(|f| matches!(f.kind, FaultKind::Path(_)));
    of_paths.map(|f| f.target.clone()).collect()
}

/// The proxies of a shop, by path.
pub(super) struct PathProxies {
    pub(super) proxies: Proxies,
    addresses: BTreeMap<Path, SocketAddr>,
}

impl PathProxies {
    /// Opens a proxy on every path of these edges, between replicas at these addresses. `seed` decides which connections a
    /// fault affects.
    ///
    /// # Errors
    /// No free port, or more than [`MAX_PROXIES`] paths.
    pub(super) async fn open(
        edges: &[Target],
        replicas: &[(ReplicaId, SocketAddr)],
        seed: u64,
    ) -> Result<Self> {
        let mut opened = Self {
            proxies: Proxies::new(seed, CancellationToken::new()),
            addresses: BTreeMap::new(),
        };
        let paths = replicas.iter().flat_map(|(from, _)| {
            let path = |(to, at): &(ReplicaId, SocketAddr)| {
                (
                    Path {
                        from: *from,
                        to: *to,
                    },
                    *at,
                )
            };
            replicas.iter().map(path)
        });
        let wanted = |(path, _): &(Path, SocketAddr)| edges.iter().any(|edge| path.is_on(edge));
        let paths: Vec<_> = paths.filter(wanted).collect();
        if paths.len() > MAX_PROXIES {
            bail!(
                "the tcp- faults of this scenario need {} proxies, one for each pair of replicas, and {MAX_PROXIES} is the limit; \
                 target fewer edges, or use fewer replicas",
                paths.len()
            );
        }
        for (path, upstream) in paths {
            let (name, upstream) = (path.name(), upstream.to_string());
            let address = opened.proxies.open(&name, "127.0.0.1:0", &upstream).await;
            let address =
                address.with_context(|| format!("no proxy can be opened on the path {name}"))?;
            opened.addresses.insert(path, address);
        }
        Ok(opened)
    }

    /// All paths with a proxy.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.addresses.keys()
    }

    /// The address at which a replica reaches another: the proxy's, or `direct` without one.
    pub(super) fn address(&self, from: ReplicaId, to: ReplicaId, direct: SocketAddr) -> SocketAddr {
        let proxy = self.addresses.get(&Path { from, to });
        proxy.copied().unwrap_or(direct)
    }

    /// The value of `DOORBUSTER_PEERS` for a replica: the addresses of all others.
    pub(super) fn peers(&self, caller: ReplicaId, replicas: &[(ReplicaId, SocketAddr)]) -> String {
        let mut peers: BTreeMap<Role, Vec<String>> = BTreeMap::new();
        for (other, direct) in replicas {
            let addresses = peers.entry(other.0).or_default();
            let address = self.address(caller, *other, *direct).to_string();
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        let peers: Vec<String> = peers
            .into_iter()
            .map(|(role, addresses)| format!("{role}={}", addresses.join(",")))
            .collect();
        peers.join(";")
    }

    /// Closes every proxy. Their ports are free when this resolves.
    pub(super) async fn close(&self) {
        self.proxies.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    fn shop() -> Vec<(ReplicaId, SocketAddr)> {
        [
            ((Role::Gateway, 0), at(1)),
            ((Role::Order, 0), at(2)),
            ((Role::Order, 1), at(3)),
            ((Role::Inventory, 0), at(4)),
            ((Role::Inventory, 1), at(5)),
        ]
        .into()
    }

    fn edge(role: &str, replica: Option<u32>, to: &str) -> Target {
        Target {
            replica,
            to: Some(to.to_owned()),
            ..Target::role(role)
        }
    }

    #[tokio::test]
    async fn only_the_paths_of_a_targeted_edge_get_proxies() {
        let edges = [edge("order", Some(1), "inventory")];
        let opened = PathProxies::open(&edges, &shop(), 7).await.unwrap();
        assert_eq!(opened.addresses.len(), 2);
        let seen = |from, to: u32| {
            let direct = at(4 + to as u16);
            let address = opened.address(from, (Role::Inventory, to), direct);
            (address, address == direct)
        };
        for to in [0, 1] {
            assert!(!seen((Role::Order, 1), to).1);
            assert!(seen((Role::Order, 0), to).1);
            assert!(seen((Role::Gateway, 0), to).1);
        }
        assert_ne!(seen((Role::Order, 1), 0), seen((Role::Order, 1), 1));
        opened.close().await;

        let whole = [edge("order", None, "inventory"), edges[0].clone()];
        let opened = PathProxies::open(&whole, &shop(), 7).await.unwrap();
        assert_eq!(opened.addresses.len(), 4, "none twice");
        let none = PathProxies::open(&[], &shop(), 7).await.unwrap();
        assert!(none.addresses.is_empty());
    }

    #[tokio::test]
    async fn too_many_proxies_are_refused() {
        let replicas = [Role::Order, Role::Inventory, Role::Cart]
            .into_iter()
            .flat_map(|role| (0..16).map(move |n| ((role, n), at(1))));
        let replicas: Vec<_> = replicas.collect();
        let edges = ["inventory", "cart", "order"].map(|to| edge("order", None, to));
        let refused = PathProxies::open(&edges, &replicas, 7).await.err().unwrap();
        assert!(refused.to_string().contains("768 proxies"), "{refused}");
    }
}
