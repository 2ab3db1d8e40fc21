//! Connects to Docker, lists and inspects containers, and explains errors.

use std::collections::{BTreeSet, HashMap};
use std::error::Error as _;
use std::io::ErrorKind;
use std::net::IpAddr;

use anyhow::{Context, Result, anyhow, bail};
use bollard::errors::Error;
use bollard::models::{ContainerInspectResponse, ContainerSummary, ContainerSummaryStateEnum};
use bollard::query_parameters::ListContainersOptionsBuilder;
use bollard::{API_DEFAULT_VERSION, Docker};
use shop_contract::Role;

use crate::shop::replica::ReplicaId;

/// Label: the Compose project of a container.
const OF_PROJECT: &str = "com.docker.compose.project";
/// Label: the Compose service of a container.
const SERVICE: &str = "com.docker.compose.service";
/// Label: the role of a shop's container.
pub(super) const ROLE: &str = "doorbuster.role";
/// Label: the number of the replica, from 0.
pub(super) const REPLICA: &str = "doorbuster.replica";
/// The Compose service that sends load to the shop.
const LOAD_SERVICE: &str = "crowd";

/// Docker's default socket.
const SOCKET: &str = "unix:///var/run/docker.sock";
/// The time limit of one request, in seconds. Stopping a container takes up to 10 s.
const LIMIT_S: u64 = 30;

/// Connects to Docker at `DOCKER_HOST`, or at its default socket.
///
/// # Errors
/// Docker is not there, or refuses access.
pub(super) async fn connect() -> Result<Docker> {
    let set = |name| std::env::var(name).ok().filter(|v: &String| !v.is_empty());
    let host = set("DOCKER_HOST").unwrap_or_else(|| SOCKET.to_owned());
    let api = if let Some(path) = host.strip_prefix("unix://") {
        Docker::connect_with_unix(path, LIMIT_S, API_DEFAULT_VERSION)
    } else if host.starts_with("tcp://") || host.starts_with("http://") {
        if set("DOCKER_TLS_VERIFY").is_some() {
            bail!(
                "DOCKER_TLS_VERIFY is set, but TLS to Docker is not supported; reach {host} through a tunnel such as `ssh -L`, and unset the variable"
            );
        }
        Docker::connect_with_http(&host, LIMIT_S, API_DEFAULT_VERSION)
    } else {
        bail!(
            "DOCKER_HOST is `{host}`; it can be a socket such as {SOCKET}, or tcp://127.0.0.1:2375"
        );
    };
    match api {
        // Older versions of Docker need an older version of the API.
        Ok(api) => api
            .negotiate_version()
            .await
            .map_err(|e| no_docker(&host, &e)),
        Err(e) => Err(no_docker(&host, &e)),
    }
}

/// The error of a failed connection, with a hint.
fn no_docker(host: &str, error: &Error) -> anyhow::Error {
    let hint = match (error, kind(error)) {
        (Error::SocketNotFoundError(_), _) | (_, Some(ErrorKind::NotFound)) => {
            "there is no such socket; start Docker, or set DOCKER_HOST to the address that `docker context inspect` shows"
        }
        (_, Some(ErrorKind::PermissionDenied)) => {
            "this user has no access; run as root, or as a member of the group that owns the socket (most often `docker`)"
        }
        (_, Some(ErrorKind::ConnectionRefused)) => {
            "nothing listens there; start Docker, or set DOCKER_HOST to its address"
        }
        _ => "check the address with `docker version`",
    };
    anyhow!("no Docker at {host}: {hint} ({})", words(error))
}

/// The I/O error at the root of an error.
fn kind(error: &Error) -> Option<ErrorKind> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(now) = cause {
        if let Some(io) = now.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        cause = now.source();
    }
    None
}

/// Whether Docker refused a request, so that nothing was done. After any other error, such as a timeout or an internal
/// error, the request may have been executed or may still be.
pub(super) fn has_refused(error: &Error) -> bool {
    matches!(
        error,
        Error::DockerResponseServerError {
            status_code: 400..500,
            ..
        }
    )
}

/// The text of an error: Docker's message if there is one, else the error with its causes.
pub(super) fn words(error: &Error) -> String {
    if let Error::DockerResponseServerError { message, .. } = error {
        return message.clone();
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(now) = cause {
        let more = now.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = now.source();
    }
    text
}

/// A container in a list.
pub(super) struct ListedContainer {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) running: bool,
    labels: HashMap<String, String>,
}

impl ListedContainer {
    fn of(container: ContainerSummary) -> Option<Self> {
        let id = container.id?;
        let name = container.names.into_iter().flatten().next();
        Some(Self {
            name: name.map_or_else(|| id.clone(), |n| n.trim_start_matches('/').to_owned()),
            running: container.state == Some(ContainerSummaryStateEnum::RUNNING),
            labels: container.labels.unwrap_or_default(),
            id,
        })
    }

    /// Whether the container sends load to the shop.
    pub(super) fn is_load(&self) -> bool {
        let labelled = |label| self.labels.get(label).is_some_and(|l| l == LOAD_SERVICE);
        labelled(SERVICE) || labelled(ROLE)
    }

    /// The role and replica in the labels. `None` for a container that is no service of the shop.
    ///
    /// # Errors
    /// Labels that cannot be read.
    pub(super) fn replica_id(&self) -> Result<Option<ReplicaId>> {
        if self.is_load() {
            return Ok(None);
        }
        let Some(role) = self.labels.get(ROLE) else {
            return Ok(None);
        };
        let name = &self.name;
        let role: Role = role
            .parse()
            .map_err(|e| anyhow!("the label {ROLE} of {name}: {e}"))?;
        let replica = match self.labels.get(REPLICA) {
            Some(text) => text.parse().with_context(|| {
                format!("the label {REPLICA} of {name} is `{text}`, not a number")
            })?,
            None => 0,
        };
        Ok(Some((role, replica)))
    }
}

/// Every container of a project, including stopped ones.
pub(super) async fn of_project(api: &Docker, project: &str) -> Result<Vec<ListedContainer>> {
    list(api, format!("{OF_PROJECT}={project}")).await
}

/// The projects with a shop.
pub(super) async fn projects(api: &Docker) -> Result<BTreeSet<String>> {
    let shops = list(api, ROLE.to_owned()).await?.into_iter();
    Ok(shops
        .filter_map(|c| c.labels.get(OF_PROJECT).cloned())
        .collect())
}

async fn list(api: &Docker, label: String) -> Result<Vec<ListedContainer>> {
    let filters = HashMap::from([("label", vec![label])]);
    let options = ListContainersOptionsBuilder::new()
        .all(true)
        .filters(&filters)
        .build();
    let listed = api.list_containers(Some(options)).await;
    let listed = listed.map_err(|e| anyhow!("Docker cannot list its containers: {}", words(&e)))?;
    Ok(listed.into_iter().filter_map(ListedContainer::of).collect())
}

/// The address at which containers reach this machine, Docker's `host-gateway`: the host's address in the default network.
/// `None` if Docker does not report it.
pub(super) async fn host_gateway(api: &Docker) -> Option<IpAddr> {
    let network = api.inspect_network("bridge", None).await.ok()?;
    let configured = network.ipam?.config?.into_iter();
    let gateways = configured.filter_map(|c| c.gateway?.parse::<IpAddr>().ok());
    gateways.filter(IpAddr::is_ipv4).min()
}

/// Inspects a container.
pub(super) async fn inspect(api: &Docker, id: &str) -> Result<ContainerInspectResponse> {
    let inspected = api.inspect_container(id, None).await;
    inspected.map_err(|e| anyhow!("Docker cannot inspect the container {id}: {}", words(&e)))
}
