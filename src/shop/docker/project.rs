//! Finds the containers of a Compose project's shop by their labels.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use anyhow::{Result, bail};
use bollard::Docker;
use shop_contract::Role;

use super::api;
use super::container::ContainerInfo;
use crate::environment::ADMIN_TOKEN;
use crate::shop::replica::ReplicaId;

/// The addresses of a shop in containers.
pub(crate) struct Addresses {
    /// The admin listener of each replica. `None` for a container that does not run.
    pub(crate) admins: BTreeMap<ReplicaId, Option<SocketAddr>>,
    /// The shop's public address, while a gateway runs.
    pub(crate) gateway: Option<SocketAddr>,
    /// The token of the admin listeners.
    pub(crate) token: Option<String>,
}

/// Finds the addresses of a project's shop.
///
/// # Errors
/// No Docker, no such project.
pub(crate) async fn addresses(project: &str) -> Result<Addresses> {
    let shop = find(&api::connect().await?, project).await?;
    let token = shop.token()?;
    let gateways = shop.containers.iter().filter(|c| c.role == Role::Gateway);
    let gateway = gateways.filter_map(|c| c.state.shop).next();
    let admin = |c: ContainerInfo| ((c.role, c.replica), c.state.admin);
    Ok(Addresses {
        admins: shop.containers.into_iter().map(admin).collect(),
        gateway,
        token,
    })
}

/// The containers of a project.
pub(super) struct Project {
    pub(super) containers: Vec<ContainerInfo>,
    /// Names of running containers that send load to the shop.
    load_containers: Vec<String>,
}

/// Finds the containers of a project's shop.
///
/// # Errors
/// The project has none, or their labels are wrong.
pub(super) async fn find(api: &Docker, project: &str) -> Result<Project> {
    let labelled = api::of_project(api, project).await?;
    let load = labelled.iter().filter(|c| c.is_load() && c.running);
    let load_containers = load.map(|c| c.name.clone()).collect();
    let mut containers = Vec::new();
    for container in &labelled {
        if let Some((role, replica)) = container.replica_id()? {
            let inspected = api::inspect(api, &container.id).await?;
            containers.push(ContainerInfo::read(role, replica, &inspected)?);
        }
    }
    if containers.is_empty() {
        let others: BTreeSet<String> = api::projects(api).await?;
        let others: Vec<String> = others.into_iter().collect();
        let hint = match &others[..] {
            [] => "no project of this Docker has a shop; bring one up with `docker compose up -d`"
                .to_owned(),
            some => format!(
                "there are {}; name one with --docker=PROJECT",
                some.join(", ")
            ),
        };
        bail!(
            "the Compose project `{project}` has no shop, that is no container with the label {}: {hint}",
            api::ROLE
        );
    }
    containers.sort_by_key(|c| (c.role, c.replica));
    for pair in containers.windows(2) {
        if (pair[0].role, pair[0].replica) == (pair[1].role, pair[1].replica) {
            bail!(
                "{} and {} are both labelled {}; give each replica its own number with the label {}",
                pair[0].name,
                pair[1].name,
                pair[0].target(),
                api::REPLICA
            );
        }
    }
    Ok(Project {
        containers,
        load_containers,
    })
}

impl Project {
    /// Every role must have a container that runs and can be reached.
    pub(super) fn check_complete(&self) -> Result<()> {
        for role in Role::ALL {
            let replicas = self.containers.iter().filter(|c| c.role == role);
            let numbers: Vec<u32> = replicas.map(|c| c.replica).collect();
            if numbers.is_empty() {
                bail!(
                    "the shop has no {role}: no container has the label {}={role}; bring it up with `docker compose up -d`",
                    api::ROLE
                );
            }
            if !numbers.iter().copied().eq(0..numbers.len() as u32) {
                bail!(
                    "the replicas of {role} are {numbers:?}, and they must be counted from 0 without a gap; see the label {}",
                    api::REPLICA
                );
            }
        }
        self.containers
            .iter()
            .try_for_each(ContainerInfo::check_running)?;
        self.containers
            .iter()
            .try_for_each(ContainerInfo::check_reachable)
    }

    /// Other load would distort the measurement, and the audit would never settle.
    pub(super) fn check_no_other_load(&self, project: &str) -> Result<()> {
        if let Some(name) = self.load_containers.first() {
            bail!(
                "{name} sends load to the shop and would distort the measurement; stop it with `docker compose -p {project} stop crowd`"
            );
        }
        Ok(())
    }

    /// The token that all containers share. Without one, the token of the harness's environment.
    pub(super) fn token(&self) -> Result<Option<String>> {
        let of = |c: &ContainerInfo| c.setting(ADMIN_TOKEN).map(str::to_owned);
        let tokens: BTreeSet<String> = self.containers.iter().filter_map(of).collect();
        if tokens.len() > 1 {
            bail!("the shop's containers have different {ADMIN_TOKEN}; give all of them the same");
        }
        let own = || std::env::var(ADMIN_TOKEN).ok();
        let token = tokens.into_iter().next().or_else(own);
        Ok(token.filter(|token| !token.is_empty()))
    }
}
