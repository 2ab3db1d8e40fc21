//! Where the services of a shop are that somebody else has opened.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use chaos::{BoxFuture, CallerHits, Counts, InjectError, ProcessAction, Processes};
use serde::Deserialize;
use shop_contract::Role;

use crate::{docker, run};

/// The admin listeners of a shop, by role and replica. Cloning shares them.
#[derive(Debug, Clone)]
pub(super) struct Places {
    roles: Arc<BTreeMap<String, Vec<SocketAddr>>>,
    /// What the listeners ask for, where that is known from where they are.
    token: Option<String>,
}

/// Stands for the listener of a container that does not run: nobody can listen there.
pub(super) const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// What of a line of `topology.json` matters here.
#[derive(Debug, Deserialize)]
struct Placed {
    role: String,
    replica: u32,
    admin: SocketAddr,
}

impl Places {
    /// From a shop's `topology.json`; without one named, from that of the newest run below `out`.
    pub(super) fn of_topology(file: Option<&Path>, out: &Path) -> Result<Self> {
        let file = match file {
            Some(file) => file.to_owned(),
            None => newest(out).with_context(|| {
                format!(
                    "no shop is known in {}; open one with `doorbuster up`, or say where it is with --topology or --admin",
                    out.display()
                )
            })?,
        };
        let shown = file.display();
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("{shown} cannot be read"))?;
        let mut placed: Vec<Placed> = serde_json::from_str(&text)
            .with_context(|| format!("{shown} is not the topology.json of a shop"))?;
        placed.sort_by_key(|p| p.replica);
        let mut roles: BTreeMap<String, Vec<SocketAddr>> = BTreeMap::new();
        for place in placed {
            roles.entry(place.role).or_default().push(place.admin);
        }
        Ok(Self {
            roles: Arc::new(roles),
            token: None,
        })
    }

    /// From a list of `role=host:port`.
    pub(super) fn named(list: &[String]) -> Result<Self> {
        let mut roles: BTreeMap<String, Vec<SocketAddr>> = BTreeMap::new();
        for text in list {
            let (role, address) = text
                .split_once('=')
                .with_context(|| format!("`{text}` in --admin is not `role=host:port`"))?;
            let role: Role = role
                .trim()
                .parse()
                .map_err(|e| anyhow!("in --admin: {e}"))?;
            let mut found = address
                .trim()
                .to_socket_addrs()
                .with_context(|| format!("`{address}` in --admin is not `host:port`"))?;
            let Some(address) = found.next() else {
                bail!("`{address}` in --admin has no address");
            };
            let replicas = roles.entry(role.name().to_owned()).or_default();
            replicas.push(address);
        }
        Ok(Self {
            roles: Arc::new(roles),
            token: None,
        })
    }

    /// From the labels of a Compose project's containers.
    pub(super) fn in_docker(project: &str) -> Result<Self> {
        let admins = run::runtime()?.block_on(docker::admins(project))?;
        let mut roles: BTreeMap<String, Vec<SocketAddr>> = BTreeMap::new();
        for ((role, _), admin) in admins.of {
            let replicas = roles.entry(role.name().to_owned()).or_default();
            replicas.push(admin.unwrap_or(NOWHERE));
        }
        Ok(Self {
            roles: Arc::new(roles),
            token: admins.token,
        })
    }

    /// What the listeners ask for, where that is known from where they are.
    pub(super) fn token(&self) -> Option<String> {
        self.token.clone()
    }

    /// What a fault may be aimed at. Roles of which nobody has said where they are have no replicas, but can be called.
    pub(super) fn shop(&self) -> chaos::spec::Shop {
        let all = Role::ALL.iter().map(|r| r.name().to_owned());
        let count = |role: String| {
            let replicas = self.replicas(&role);
            (role, replicas)
        };
        chaos::spec::Shop {
            replicas: all.map(count).collect(),
            duration: Duration::MAX,
        }
    }

    /// Every replica, as `order/1`, and its admin listener.
    pub(super) fn all(&self) -> Vec<(String, SocketAddr)> {
        let of = |(role, replicas): (&String, &Vec<SocketAddr>)| -> Vec<(String, SocketAddr)> {
            let named = replicas.iter().enumerate();
            named.map(|(n, at)| (format!("{role}/{n}"), *at)).collect()
        };
        self.roles.iter().flat_map(of).collect()
    }
}

/// The `topology.json` of the newest run: their folders' names begin with the time.
fn newest(out: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(out).ok()?;
    let files = entries.flatten().map(|e| e.path().join("topology.json"));
    files.filter(|file| file.is_file()).max()
}

impl Processes for Places {
    fn replicas(&self, role: &str) -> u32 {
        self.roles.get(role).map_or(0, |r| r.len() as u32)
    }

    fn admin_address(&self, role: &str, replica: u32) -> Option<SocketAddr> {
        let replicas = self.roles.get(role)?;
        let admin = replicas.get(replica as usize).copied();
        admin.filter(|admin| *admin != NOWHERE)
    }

    fn act<'a>(
        &'a self,
        role: &'a str,
        replica: u32,
        _: ProcessAction,
    ) -> BoxFuture<'a, Result<Option<u32>, InjectError>> {
        let refused = InjectError::Process {
            target: format!("{role}/{replica}"),
            reason: "its process belongs to whoever opened the shop".to_owned(),
        };
        Box::pin(async { Err(refused) })
    }
}

/// No process is killed from here, so no caller need bear witness.
impl CallerHits for Places {
    fn failed_attempts<'a>(&'a self, _: &'a str, _: u32) -> BoxFuture<'a, Option<Counts>> {
        Box::pin(async { None })
    }

    fn attempts<'a>(&'a self, _: &'a str, _: u32) -> BoxFuture<'a, Option<Counts>> {
        Box::pin(async { None })
    }
}
