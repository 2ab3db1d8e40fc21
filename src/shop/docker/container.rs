//! Reads what Docker reports about a container: its service, its addresses, its state. No I/O.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Result, bail};
use bollard::models::{
    ContainerInspectResponse, HealthStatusEnum, NetworkSettings, PortBinding, PortMap,
};
use shop_contract::Role;

/// The ports inside a container, unless its environment sets others.
const SHOP_PORT: u16 = 8080;
const ADMIN_PORT: u16 = 9080;

/// One service's container. What changes over time is in its [`ContainerState`].
#[derive(Debug, Clone)]
pub(super) struct ContainerInfo {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) replica: u32,
    /// The port of the shop's API, inside the container.
    pub(super) port: u16,
    admin_port: u16,
    /// Whether Docker publishes the shop's port at another address after each start.
    pub(super) has_random_port: bool,
    environment: BTreeMap<String, String>,
    /// The state at the first inspection.
    pub(super) state: ContainerState,
}

/// The state of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ContainerState {
    pub(super) running: bool,
    /// It ended, and Docker will restart it. Docker reports this as running, too.
    pub(super) restarting: bool,
    pub(super) paused: bool,
    pub(super) unhealthy: bool,
    /// Docker's status: `running`, `paused`, `exited`, …
    pub(super) status: String,
    /// As Docker writes it. It changes with each start.
    pub(super) started_at: String,
    /// How the last process ended, as text.
    pub(super) ended: String,
    pub(super) pid: Option<u32>,
    /// The address of the shop's API, as seen from here.
    pub(super) shop: Option<SocketAddr>,
    /// The address of the admin listener, as seen from here.
    pub(super) admin: Option<SocketAddr>,
}

impl ContainerState {
    /// Whether the container does not run and Docker will not restart it.
    pub(super) fn is_down(&self) -> bool {
        !self.running && !self.restarting
    }
}

impl ContainerInfo {
    /// Reads an inspection.
    ///
    /// # Errors
    /// The inspection has no id.
    pub(super) fn read(
        role: Role,
        replica: u32,
        inspected: &ContainerInspectResponse,
    ) -> Result<Self> {
        let Some(id) = inspected.id.clone() else {
            bail!("Docker reports a container of {role} without an id");
        };
        let config = inspected.config.as_ref();
        let environment: BTreeMap<String, String> = config
            .and_then(|c| c.env.as_ref())
            .into_iter()
            .flatten()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let port_in = |name: &str, usual| {
            let address = environment.get(name);
            let port = address.and_then(|a| a.rsplit(':').next()?.parse().ok());
            port.unwrap_or(usual)
        };
        let name = inspected.name.as_deref().unwrap_or(&id);
        let port = port_in("DOORBUSTER_LISTEN", SHOP_PORT);
        let requested = inspected.host_config.as_ref();
        let requested = requested.and_then(|h| h.port_bindings.as_ref());
        let mut info = Self {
            name: name.trim_start_matches('/').to_owned(),
            role,
            replica,
            port,
            admin_port: port_in("DOORBUSTER_ADMIN", ADMIN_PORT),
            has_random_port: bindings(requested, port).all(|b| {
                let chosen = b.host_port.as_deref().unwrap_or_default();
                matches!(chosen, "" | "0")
            }),
            environment,
            state: ContainerState::default(),
            id,
        };
        info.state = info.state_of(inspected);
        Ok(info)
    }

    /// The state at a later inspection.
    pub(super) fn state_of(&self, inspected: &ContainerInspectResponse) -> ContainerState {
        let state = inspected.state.clone().unwrap_or_default();
        let network = inspected.network_settings.as_ref();
        let at = |port| reach(network?, port);
        let restarting = state.restarting.unwrap_or(false);
        let running = state.running.unwrap_or(false) && !restarting;
        let health = state.health.and_then(|h| h.status);
        let code = state.exit_code.unwrap_or_default();
        let ended = match state.oom_killed {
            Some(true) => format!("exit code {code}, out of memory"),
            _ => format!("exit code {code}"),
        };
        ContainerState {
            running,
            restarting,
            paused: state.paused.unwrap_or(false),
            unhealthy: health == Some(HealthStatusEnum::UNHEALTHY),
            status: state.status.map(|s| s.to_string()).unwrap_or_default(),
            started_at: state.started_at.unwrap_or_default(),
            ended,
            pid: state
                .pid
                .and_then(|p| u32::try_from(p).ok())
                .filter(|p| *p > 0),
            shop: running.then(|| at(self.port)).flatten(),
            admin: running.then(|| at(self.admin_port)).flatten(),
        }
    }

    /// An environment variable of the container. An empty one counts as not set.
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        let value = self.environment.get(name).map(String::as_str);
        value.filter(|v| !v.is_empty())
    }

    /// `order/1`.
    pub(super) fn target(&self) -> String {
        format!("{}/{}", self.role, self.replica)
    }

    /// # Errors
    /// The container does not run.
    pub(super) fn check_running(&self) -> Result<()> {
        let (target, name) = (self.target(), &self.name);
        if self.state.paused {
            bail!("{target} is paused; resume it with `docker unpause {name}`");
        }
        if self.state.restarting {
            bail!("{target} crashes and is restarted by Docker; see `docker logs {name}`");
        }
        if !self.state.running {
            let status = &self.state.status;
            bail!(
                "{target} does not run, its container is {status}; start it with `docker start {name}`"
            );
        }
        Ok(())
    }

    /// # Errors
    /// A port that is needed is not published.
    pub(super) fn check_reachable(&self) -> Result<()> {
        let unpublished = |what: &str, port: u16| {
            let (target, name) = (self.target(), &self.name);
            format!(
                "{what} of {target} cannot be reached: port {port} of {name} is not published; publish it in the Compose file with `ports: [\"127.0.0.1::{port}\"]`"
            )
        };
        if self.state.admin.is_none() {
            bail!(unpublished("the admin listener", self.admin_port));
        }
        if self.role == Role::Gateway && self.state.shop.is_none() {
            bail!(unpublished("the public listener", self.port));
        }
        Ok(())
    }
}

/// The address of a container's port, as seen from here: its published address. Without one, on Linux, the container's own
/// address, because its network is on this machine.
fn reach(network: &NetworkSettings, port: u16) -> Option<SocketAddr> {
    let published = bindings(network.ports.as_ref(), port).filter_map(|binding| {
        let port: u16 = binding.host_port.as_deref()?.parse().ok()?;
        let ip = binding.host_ip.as_deref().unwrap_or_default();
        let ip: IpAddr = match ip {
            // All addresses include the loopback.
            "" | "0.0.0.0" | "::" => Ipv4Addr::LOCALHOST.into(),
            ip => ip.parse().ok()?,
        };
        Some(SocketAddr::new(ip, port))
    });
    let own = || {
        let networks = network.networks.iter().flat_map(|n| n.values());
        let ips = networks.filter_map(|n| n.ip_address.as_deref()?.parse::<IpAddr>().ok());
        ips.min().map(|ip| SocketAddr::new(ip, port))
    };
    let own = || cfg!(target_os = "linux").then(own).flatten();
    published.min().or_else(own)
}

fn bindings(ports: Option<&PortMap>, port: u16) -> impl Iterator<Item = &PortBinding> {
    let of_port = ports.and_then(|p| p.get(&format!("{port}/tcp")));
    of_port.into_iter().flatten().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn container(ports: serde_json::Value, state: serde_json::Value) -> ContainerInfo {
        let inspected = json!({
            "Id": "ab12",
            "Name": "/doorbuster-order-1-1",
            "State": state,
            "Config": {"Env": ["DOORBUSTER_ADMIN_TOKEN=sesame", "DOORBUSTER_STOCK=", "DOORBUSTER_LISTEN=0.0.0.0:8081"]},
            "HostConfig": {"PortBindings": {"8081/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}},
            "NetworkSettings": {"Ports": ports, "Networks": {"shop": {"IPAddress": "172.30.0.7"}}},
        });
        let inspected: ContainerInspectResponse = serde_json::from_value(inspected).unwrap();
        ContainerInfo::read(Role::Order, 1, &inspected).unwrap()
    }

    fn up() -> serde_json::Value {
        json!({"Status": "running", "Running": true, "Paused": false, "Pid": 42, "ExitCode": 0, "StartedAt": "t1"})
    }

    #[test]
    fn an_unpublished_port_is_at_the_containers_own_address() {
        let ports = json!({
            "9080/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32770"}],
            "8081/tcp": null,
        });
        let container = container(ports, up());
        assert_eq!(
            container.state.admin.unwrap().to_string(),
            "127.0.0.1:32770"
        );
        if cfg!(target_os = "linux") {
            assert_eq!(container.state.shop.unwrap().to_string(), "172.30.0.7:8081");
        }
        assert_eq!(container.setting("DOORBUSTER_ADMIN_TOKEN"), Some("sesame"));
        assert_eq!(container.setting("DOORBUSTER_STOCK"), None, "empty");
        assert!(container.has_random_port, "Docker chooses the port");
        assert_eq!(container.state.pid, Some(42));
        assert!(container.check_running().is_ok() && container.check_reachable().is_ok());
    }

    #[test]
    fn an_error_about_a_stopped_container_names_the_command_that_starts_it() {
        let error = |state| {
            container(json!({}), state)
                .check_running()
                .unwrap_err()
                .to_string()
        };
        let paused = error(json!({"Status": "paused", "Running": true, "Paused": true}));
        assert!(
            paused.contains("docker unpause doorbuster-order-1-1"),
            "{paused}"
        );
        let dead =
            json!({"Status": "exited", "Running": false, "ExitCode": 137, "OOMKilled": true});
        let exited = error(dead.clone());
        assert!(
            exited.contains("is exited; start it with `docker start"),
            "{exited}"
        );
        let between =
            json!({"Status": "restarting", "Running": true, "Restarting": true, "ExitCode": 1});
        let looping = error(between);
        assert!(
            looping.contains("docker logs doorbuster-order-1-1"),
            "{looping}"
        );
        let state = container(json!({}), dead).state;
        assert_eq!(state.admin, None);
        assert!(state.ended.contains("137") && state.ended.contains("memory"));
    }
}
