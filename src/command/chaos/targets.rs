//! The admin listeners of a shop that is up, as targets of faults.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use chaos::{AdminClient, BoxFuture, CallerHits, Counts, InjectError, ProcessAction, Processes};
use shop_contract::Role;

use crate::command::attach::AttachedShop;

/// The admin listeners of a shop, by role and replica. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct AdminTargets {
    /// `None` for a replica that does not run.
    roles: Arc<BTreeMap<Role, Vec<Option<SocketAddr>>>>,
    token: Option<String>,
}

impl AdminTargets {
    /// Resolves the addresses of a shop.
    ///
    /// # Errors
    /// A host name that cannot be resolved.
    pub(super) fn of(shop: &AttachedShop) -> Result<Self> {
        let mut roles: BTreeMap<Role, Vec<Option<SocketAddr>>> = BTreeMap::new();
        for (role, admins) in &shop.admins {
            let replicas = roles.entry(*role).or_default();
            for admin in admins {
                replicas.push(admin.as_deref().map(resolve).transpose()?);
            }
        }
        Ok(Self {
            roles: Arc::new(roles),
            token: shop.token.clone(),
        })
    }

    /// A client of the listeners, with their token. Must be called within a runtime.
    pub(super) fn client(&self) -> AdminClient {
        AdminClient::new(self.token.clone())
    }

    /// The possible targets of a fault. A role without known listeners has no replicas, but can be called by others.
    pub(super) fn shop(&self) -> chaos::spec::Shop {
        let count = |role: Role| (role.name().to_owned(), self.replicas(role.name()));
        chaos::spec::Shop {
            replicas: Role::ALL.into_iter().map(count).collect(),
            duration: Duration::MAX,
        }
    }

    /// The name, such as `order/1`, and the admin listener of every replica.
    pub(super) fn all(&self) -> Vec<(String, Option<SocketAddr>)> {
        let mut all: Vec<(String, Option<SocketAddr>)> = Vec::new();
        for (role, replicas) in self.roles.iter() {
            let numbered = replicas.iter().enumerate();
            all.extend(numbered.map(|(n, admin)| (format!("{role}/{n}"), *admin)));
        }
        all
    }

    fn of_role(&self, role: &str) -> &[Option<SocketAddr>] {
        let role: Option<Role> = role.parse().ok();
        let replicas = role.and_then(|role| self.roles.get(&role));
        replicas.map_or(&[], Vec::as_slice)
    }
}

fn resolve(address: &str) -> Result<SocketAddr> {
    let mut resolved = address
        .to_socket_addrs()
        .with_context(|| format!("`{address}` in --admin cannot be resolved"))?;
    resolved
        .next()
        .with_context(|| format!("`{address}` in --admin has no address"))
}

impl Processes for AdminTargets {
    fn replicas(&self, role: &str) -> u32 {
        self.of_role(role).len() as u32
    }

    fn admin_address(&self, role: &str, replica: u32) -> Option<SocketAddr> {
        self.of_role(role).get(replica as usize).copied().flatten()
    }

    fn act<'a>(
        &'a self,
        role: &'a str,
        replica: u32,
        _: ProcessAction,
    ) -> BoxFuture<'a, Result<Option<u32>, InjectError>> {
        let unsupported = InjectError::Process {
            target: format!("{role}/{replica}"),
            reason: "its process belongs to the command that opened the shop".to_owned(),
        };
        Box::pin(async { Err(unsupported) })
    }
}

/// No process faults are injected here, so callers are not scraped.
impl CallerHits for AdminTargets {
    fn failed_attempts<'a>(&'a self, _: &'a str, _: u32) -> BoxFuture<'a, Option<Counts>> {
        Box::pin(async { None })
    }

    fn attempts<'a>(&'a self, _: &'a str, _: u32) -> BoxFuture<'a, Option<Counts>> {
        Box::pin(async { None })
    }
}
