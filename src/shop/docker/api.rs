//! Docker itself: where it is, what it has, and what it says when it cannot.

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

/// The Compose project that a container belongs to.
const OF_PROJECT: &str = "com.docker.compose.project";
/// The Compose service that a container is of.
const SERVICE: &str = "com.docker.compose.service";
/// A shop container's role.
pub(super) const ROLE: &str = "doorbuster.role";
/// Which replica of its role it is, from 0.
pub(super) const REPLICA: &str = "doorbuster.replica";
/// The Compose service that is a crowd.
const CROWD: &str = "crowd";

/// Where Docker listens when nobody says otherwise.
const SOCKET: &str = "unix:///var/run/docker.sock";
/// For one call, in seconds. Stopping a container takes as long as the container does, which is 10 s at most.
const LIMIT_S: u64 = 30;

/// Finds Docker: at `DOCKER_HOST`, else at its usual socket.
///
/// # Errors
/// Nobody is there, or lets us in.
pub(super) async fn connect() -> Result<Docker> {
    let set = |name| std::env::var(name).ok().filter(|v: &String| !v.is_empty());
    let host = set("DOCKER_HOST").unwrap_or_else(|| SOCKET.to_owned());
    let api = if let Some(path) = host.strip_prefix("unix://") {
        Docker::connect_with_unix(path, LIMIT_S, API_DEFAULT_VERSION)
    } else if host.starts_with("tcp://") || host.starts_with("http://") {
        if set("DOCKER_TLS_VERIFY").is_some() {
            bail!(
                "DOCKER_TLS_VERIFY is set, and Docker is spoken to without TLS here; reach {host} by a tunnel such as `ssh -L`, and unset it"
            );
        }
        Docker::connect_with_http(&host, LIMIT_S, API_DEFAULT_VERSION)
    } else {
        bail!(
            "DOCKER_HOST is `{host}`; it can be a socket such as {SOCKET}, or tcp://127.0.0.1:2375"
        );
    };
    match api {
        // An older one is spoken to in its own version.
        Ok(api) => api
            .negotiate_version()
            .await
            .map_err(|e| no_docker(&host, &e)),
        Err(e) => Err(no_docker(&host, &e)),
    }
}

/// Why nobody answers, and what to do about it.
fn no_docker(host: &str, error: &Error) -> anyhow::Error {
    let hint = match (error, kind(error)) {
        (Error::SocketNotFoundError(_), _) | (_, Some(ErrorKind::NotFound)) => {
            "there is no such socket; start Docker, or say where it is with DOCKER_HOST, as `docker context inspect` shows it"
        }
        (_, Some(ErrorKind::PermissionDenied)) => {
            "this user may not speak to it; run as root, or as a member of the group that owns the socket (most often `docker`)"
        }
        (_, Some(ErrorKind::ConnectionRefused)) => {
            "nobody listens there; start Docker, or say where it is with DOCKER_HOST"
        }
        _ => "see that this is a Docker, with `docker version`",
    };
    anyhow!("no Docker at {host}: {hint} ({})", words(error))
}

/// What the operating system said, at the bottom of an error.
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

/// Whether Docker has said no, so that nothing was done. Without its answer, or where it has failed half-way, what was
/// asked for may have been done, or be done yet.
pub(super) fn has_refused(error: &Error) -> bool {
    matches!(
        error,
        Error::DockerResponseServerError {
            status_code: 400..500,
            ..
        }
    )
}

/// An error in words: Docker's own where it has answered, else all that was the matter.
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
pub(super) struct Listed {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) running: bool,
    labels: HashMap<String, String>,
}

impl Listed {
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

    /// Whether it shops.
    pub(super) fn is_crowd(&self) -> bool {
        let is = |label| self.labels.get(label).is_some_and(|l| l == CROWD);
        is(SERVICE) || is(ROLE)
    }

    /// The place in the shop that its labels give it. Without one it is none of the shop's services.
    ///
    /// # Errors
    /// Labels that cannot be read.
    pub(super) fn place(&self) -> Result<Option<(Role, u32)>> {
        if self.is_crowd() {
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

/// Every container of a project, those that do not run included.
pub(super) async fn of_project(api: &Docker, project: &str) -> Result<Vec<Listed>> {
    list(api, format!("{OF_PROJECT}={project}")).await
}

/// The projects that have a shop.
pub(super) async fn projects(api: &Docker) -> Result<BTreeSet<String>> {
    let shops = list(api, ROLE.to_owned()).await?.into_iter();
    Ok(shops
        .filter_map(|c| c.labels.get(OF_PROJECT).cloned())
        .collect())
}

async fn list(api: &Docker, label: String) -> Result<Vec<Listed>> {
    let filters = HashMap::from([("label", vec![label])]);
    let options = ListContainersOptionsBuilder::new()
        .all(true)
        .filters(&filters)
        .build();
    let listed = api.list_containers(Some(options)).await;
    let listed =
        listed.map_err(|e| anyhow!("Docker does not list its containers: {}", words(&e)))?;
    Ok(listed.into_iter().filter_map(Listed::of).collect())
}

/// Where containers reach this machine, as Docker has it for `host-gateway`: the host's side of the network that is there
/// from the beginning. `None` where Docker does not say.
pub(super) async fn host_gateway(api: &Docker) -> Option<IpAddr> {
    let network = api.inspect_network("bridge", None).await.ok()?;
    let configured = network.ipam?.config?.into_iter();
    let gateways = configured.filter_map(|c| c.gateway?.parse::<IpAddr>().ok());
    gateways.filter(IpAddr::is_ipv4).min()
}

/// All that Docker knows of a container.
pub(super) async fn inspect(api: &Docker, id: &str) -> Result<ContainerInspectResponse> {
    let inspected = api.inspect_container(id, None).await;
    inspected.map_err(|e| anyhow!("Docker does not tell of the container {id}: {}", words(&e)))
}
