//! Finds a shop that is up, for every command that works on one: `chaos`, `audit` and `load`.
//!
//! The sources, in this order: `--admin` for single roles, `--topology`, `--docker`, and the newest `topology.json` in the
//! folder of runs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use shop_contract::Role;

use super::options::DockerArgs;
use crate::environment::ADMIN_TOKEN;
use crate::runtime;
use crate::shop::backend::TopologyEntry;
use crate::shop::docker::project;

/// Which shop is meant.
#[derive(Debug, Clone, Args)]
pub(super) struct ShopArgs {
    /// The topology.json of the shop, as `doorbuster up` prints it. By default the newest one in the folder of runs
    #[arg(long, value_name = "FILE")]
    topology: Option<PathBuf>,
    #[command(flatten)]
    docker: DockerArgs,
    /// Folder of the runs
    #[arg(long, env = "DOORBUSTER_OUT", default_value = "runs")]
    pub(super) out: PathBuf,
}

/// Which shop is meant, and its admin listeners.
#[derive(Debug, Clone, Args)]
pub(super) struct AttachArgs {
    #[command(flatten)]
    shop: ShopArgs,
    /// One replica's admin listener; once for each replica, in order. Replaces the listeners of this role in --topology
    /// and --docker
    #[arg(long, value_name = "ROLE=HOST:PORT", value_parser = parse_admin)]
    admin: Vec<(Role, String)>,
    /// Bearer token of the admin listeners, if they require one. Other users of this machine can see it here, but not in
    /// the variable
    #[arg(long, env = ADMIN_TOKEN, hide_env_values = true)]
    token: Option<String>,
}

/// A shop that is up.
#[derive(Debug, Default)]
pub(super) struct AttachedShop {
    /// The admin listener, as `host:port`, of each replica of a role. `None` for a container that does not run.
    pub(super) admins: BTreeMap<Role, Vec<Option<String>>>,
    /// The token of the admin listeners.
    pub(super) token: Option<String>,
    gateway: Option<SocketAddr>,
}

impl ShopArgs {
    /// Finds the shop.
    ///
    /// # Errors
    /// No shop is known, a file cannot be read, or Docker has no such project.
    pub(super) fn find(&self) -> Result<AttachedShop> {
        if let Some(file) = &self.topology {
            return AttachedShop::of_topology(file);
        }
        if let Some(project) = self.docker.project() {
            return AttachedShop::in_docker(project);
        }
        let newest = newest_topology(&self.out).with_context(|| {
            format!(
                "no shop is known in {}; open one with `doorbuster up`, or give its address with --topology or --admin",
                self.out.display()
            )
        })?;
        AttachedShop::of_topology(&newest)
    }

    fn is_given(&self) -> bool {
        self.topology.is_some() || self.docker.project().is_some()
    }
}

impl AttachArgs {
    /// Finds the shop and its admin listeners. `--admin` alone names a shop: then no other source is used.
    ///
    /// # Errors
    /// See [`ShopArgs::find`].
    pub(super) fn find(&self) -> Result<AttachedShop> {
        let mut shop = if self.admin.is_empty() || self.shop.is_given() {
            self.shop.find()?
        } else {
            AttachedShop::default()
        };
        let mut named: BTreeMap<Role, Vec<Option<String>>> = BTreeMap::new();
        for (role, address) in &self.admin {
            named.entry(*role).or_default().push(Some(address.clone()));
        }
        shop.admins.extend(named);
        let given = self.token.clone().filter(|token| !token.is_empty());
        shop.token = given.or(shop.token);
        Ok(shop)
    }
}

impl AttachedShop {
    /// The shop's public address, as a URL.
    ///
    /// # Errors
    /// The shop has no gateway that runs.
    pub(super) fn target(&self) -> Result<String> {
        let gateway = self
            .gateway
            .context("the shop has no gateway that runs; give its address with --target")?;
        Ok(format!("http://{gateway}"))
    }

    fn of_topology(file: &Path) -> Result<Self> {
        let name = file.display();
        let text = std::fs::read_to_string(file).with_context(|| {
            format!("{name} cannot be read; `doorbuster up` prints the path of its topology.json")
        })?;
        let mut entries: Vec<TopologyEntry> = serde_json::from_str(&text)
            .with_context(|| format!("{name} is not the topology.json of a shop"))?;
        entries.sort_by_key(|entry| entry.replica);
        let mut shop = Self::default();
        for entry in entries {
            let role: Role = entry.role.parse().with_context(|| format!("{name}"))?;
            if role == Role::Gateway {
                shop.gateway.get_or_insert(entry.address);
            }
            let replicas = shop.admins.entry(role).or_default();
            replicas.push(Some(entry.admin.to_string()));
        }
        Ok(shop)
    }

    fn in_docker(project: &str) -> Result<Self> {
        let found = runtime::runtime()?.block_on(project::addresses(project))?;
        let mut shop = Self {
            token: found.token,
            gateway: found.gateway,
            ..Self::default()
        };
        for ((role, _), admin) in found.admins {
            let replicas = shop.admins.entry(role).or_default();
            replicas.push(admin.map(|admin| admin.to_string()));
        }
        Ok(shop)
    }
}

/// The `topology.json` of the newest run. The names of runs' folders begin with the time.
fn newest_topology(out: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(out).ok()?;
    let files = entries.flatten().map(|e| e.path().join("topology.json"));
    files.filter(|file| file.is_file()).max()
}

fn parse_admin(text: &str) -> Result<(Role, String), String> {
    let (role, address) = text
        .split_once('=')
        .ok_or("write it as role=host:port, for example order=127.0.0.1:9101")?;
    let role = role.trim().parse::<Role>().map_err(|e| e.to_string())?;
    let address = address.trim();
    let authority: http::uri::Authority = address
        .parse()
        .map_err(|e| format!("`{address}` is no address: {e}"))?;
    match authority.port() {
        Some(_) => Ok((role, address.to_owned())),
        None => Err(format!("`{address}` has no port")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_listener_is_a_role_and_an_address_with_a_port() {
        assert_eq!(
            parse_admin("order=shop-order.local:9100"),
            Ok((Role::Order, "shop-order.local:9100".to_owned()))
        );
        for (text, expected) in [
            ("order", "role=host:port"),
            ("oder=h:1", "no role `oder`"),
            ("order=h", "no port"),
            ("order=h:x", "no port"),
            ("order=h h:1", "no address"),
        ] {
            let error = parse_admin(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
