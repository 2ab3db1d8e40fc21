//! Proxies on the ways that a scenario's faults are aimed at. Where no fault is aimed at, nothing is proxied.
//!
//! Each replica that calls has a proxy of its own to each replica that it calls on such a way, so that a fault of one
//! caller touches nobody else. They live in this process and end with it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use chaos::proxy::Proxies;
use chaos::{Fault, FaultKind, Paths, Target};
use shop_contract::Role;
use tokio_util::sync::CancellationToken;

use super::Supervisor;

/// The most proxies of a shop. More than this many listening sockets are a scenario that nobody meant.
const MOST: usize = 512;

/// A replica.
type Who = (Role, u32);

/// One replica's path to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Path {
    from: Who,
    to: Who,
}

impl Path {
    /// `payment/0->bank/0`.
    fn name(&self) -> String {
        let ((from, m), (to, n)) = (self.from, self.to);
        format!("{from}/{m}->{to}/{n}")
    }

    fn is_on(&self, way: &Target) -> bool {
        let (from, replica) = self.from;
        way.role == from.name()
            && way.replica.is_none_or(|n| n == replica)
            && way.to.as_deref() == Some(self.to.0.name())
    }
}

/// The ways that faults of paths are aimed at.
pub(crate) fn ways(faults: &[Fault]) -> Vec<Target> {
    let of_paths = faults
        .iter()
        .filter(|f| matches!(f.kind, FaultKind::Path(_)));
    of_paths.map(|f| f.target.clone()).collect()
}

/// The proxies of a shop, by the path that each is on.
pub(super) struct Proxied {
    proxies: Proxies,
    addresses: BTreeMap<Path, SocketAddr>,
}

impl Proxied {
    /// Opens a proxy on every path of these ways, between replicas that are at these addresses. `seed` decides which
    /// connections a fault touches.
    ///
    /// # Errors
    /// A port that cannot be had; more proxies than are reasonable.
    pub(super) async fn open(
        ways: &[Target],
        replicas: &[(Who, SocketAddr)],
        seed: u64,
    ) -> Result<Self> {
        let mut proxied = Self {
            proxies: Proxies::new(seed, CancellationToken::new()),
            addresses: BTreeMap::new(),
        };
        let paths = replicas.iter().flat_map(|(from, _)| {
            let path = |(to, at): &(Who, SocketAddr)| {
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
        let wanted = |(path, _): &(Path, SocketAddr)| ways.iter().any(|way| path.is_on(way));
        let paths: Vec<_> = paths.filter(wanted).collect();
        if paths.len() > MOST {
            bail!(
                "the ways of this scenario's tcp- faults are {} paths from replica to replica, and {MOST} is the most; \
                 aim at fewer ways, or give their ends fewer replicas",
                paths.len()
            );
        }
        for (path, upstream) in paths {
            let (name, upstream) = (path.name(), upstream.to_string());
            let opened = proxied.proxies.open(&name, "127.0.0.1:0", &upstream).await;
            let address =
                opened.with_context(|| format!("no proxy can be opened on the way {name}"))?;
            proxied.addresses.insert(path, address);
        }
        Ok(proxied)
    }

    /// Where a replica finds another: at a proxy's address or, where there is none, directly.
    pub(super) fn address(&self, from: Who, to: Who, direct: SocketAddr) -> SocketAddr {
        let proxy = self.addresses.get(&Path { from, to });
        proxy.copied().unwrap_or(direct)
    }

    /// Where a replica finds all others, as `DOORBUSTER_PEERS` has it.
    pub(super) fn peers(&self, who: Who, replicas: &[(Who, SocketAddr)]) -> String {
        let mut peers: BTreeMap<Role, Vec<String>> = BTreeMap::new();
        for (other, direct) in replicas {
            let addresses = peers.entry(other.0).or_default();
            let address = self.address(who, *other, *direct).to_string();
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

    /// Ends every proxy; their ports are free when this resolves.
    pub(super) async fn close(&self) {
        self.proxies.close().await;
    }
}

impl Paths for Supervisor {
    fn on_way(&self, way: &Target) -> Vec<String> {
        let paths = self.proxied.addresses.keys();
        paths.filter(|p| p.is_on(way)).map(Path::name).collect()
    }

    fn proxies(&self) -> &Proxies {
        &self.proxied.proxies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    fn shop() -> Vec<(Who, SocketAddr)> {
        [
            ((Role::Gateway, 0), at(1)),
            ((Role::Order, 0), at(2)),
            ((Role::Order, 1), at(3)),
            ((Role::Inventory, 0), at(4)),
            ((Role::Inventory, 1), at(5)),
        ]
        .into()
    }

    fn way(role: &str, replica: Option<u32>, to: &str) -> Target {
        Target {
            replica,
            to: Some(to.to_owned()),
            ..Target::role(role)
        }
    }

    #[tokio::test]
    async fn only_the_paths_of_a_way_are_proxied_and_each_by_itself() {
        let ways = [way("order", Some(1), "inventory")];
        let proxied = Proxied::open(&ways, &shop(), 7).await.unwrap();
        assert_eq!(proxied.addresses.len(), 2);
        let seen = |from, to: u32| {
            let direct = at(4 + to as u16);
            let address = proxied.address(from, (Role::Inventory, to), direct);
            (address, address == direct)
        };
        for to in [0, 1] {
            assert!(!seen((Role::Order, 1), to).1);
            assert!(seen((Role::Order, 0), to).1);
            assert!(seen((Role::Gateway, 0), to).1);
        }
        assert_ne!(seen((Role::Order, 1), 0), seen((Role::Order, 1), 1));
        proxied.close().await;

        let whole = [way("order", None, "inventory"), ways[0].clone()];
        let proxied = Proxied::open(&whole, &shop(), 7).await.unwrap();
        assert_eq!(proxied.addresses.len(), 4, "none twice");
        let none = Proxied::open(&[], &shop(), 7).await.unwrap();
        assert!(none.addresses.is_empty());
    }

    #[tokio::test]
    async fn a_crowd_of_proxies_is_refused() {
        let replicas = [Role::Order, Role::Inventory, Role::Cart]
            .into_iter()
            .flat_map(|role| (0..16).map(move |n| ((role, n), at(1))));
        let replicas: Vec<_> = replicas.collect();
        let ways = ["inventory", "cart", "order"].map(|to| way("order", None, to));
        let refused = Proxied::open(&ways, &replicas, 7).await.err().unwrap();
        assert!(refused.to_string().contains("768 paths"), "{refused}");
    }
}
