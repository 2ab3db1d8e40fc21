//! What Docker says of a container, read: which service it is, where it listens, how it stands. No I/O.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Result, bail};
use bollard::models::{
    ContainerInspectResponse, HealthStatusEnum, NetworkSettings, PortBinding, PortMap,
};
use shop_contract::Role;

/// Where a shop container listens inside when its environment says nothing else.
const SHOP_PORT: u16 = 8080;
const ADMIN_PORT: u16 = 9080;

/// One service's container. What changes is in its [`Standing`].
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) replica: u32,
    /// Where it serves the shop, inside.
    pub(super) port: u16,
    admin_port: u16,
    /// Whether Docker chooses anew, at each start, where the shop's port is published.
    pub(super) wanders: bool,
    environment: BTreeMap<String, String>,
    /// How it stood when it was found.
    pub(super) standing: Standing,
}

/// How a container stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) running: bool,
    /// It has died, and Docker will start it again by itself after a while. Docker calls that running as well.
    pub(super) restarting: bool,
    pub(super) paused: bool,
    pub(super) unhealthy: bool,
    /// In Docker's words: `running`, `paused`, `exited`, …
    pub(super) status: String,
    /// As Docker writes it; another one means another life.
    pub(super) started_at: String,
    /// How its last life ended, in words.
    pub(super) ended: String,
    pub(super) pid: Option<u32>,
    /// Where it serves the shop, as seen from here.
    pub(super) shop: Option<SocketAddr>,
    /// Where it serves its operators, as seen from here.
    pub(super) admin: Option<SocketAddr>,
}

impl Standing {
    /// Whether it does not run, and nobody is about to start it.
    pub(super) fn is_dead(&self) -> bool {
        !self.running && !self.restarting
    }
}

impl Found {
    /// Reads an inspection.
    ///
    /// # Errors
    /// One without an id.
    pub(super) fn read(
        role: Role,
        replica: u32,
        inspected: &ContainerInspectResponse,
    ) -> Result<Self> {
        let Some(id) = inspected.id.clone() else {
            bail!("Docker tells of a container of {role} without saying which");
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
        let asked = inspected.host_config.as_ref();
        let asked = asked.and_then(|h| h.port_bindings.as_ref());
        let mut found = Self {
            name: name.trim_start_matches('/').to_owned(),
            role,
            replica,
            port,
            admin_port: port_in("DOORBUSTER_ADMIN", ADMIN_PORT),
            wanders: bindings(asked, port).all(|b| {
                let chosen = b.host_port.as_deref().unwrap_or_default();
                matches!(chosen, "" | "0")
            }),
            environment,
            standing: Standing::default(),
            id,
        };
        found.standing = found.standing(inspected);
        Ok(found)
    }

    /// How it stands by a later inspection.
    pub(super) fn standing(&self, inspected: &ContainerInspectResponse) -> Standing {
        let state = inspected.state.clone().unwrap_or_default();
        let network = inspected.network_settings.as_ref();
        let at = |port| reach(network?, port);
        let restarting = state.restarting.unwrap_or(false);
        let running = state.running.unwrap_or(false) && !restarting;
        let health = state.health.and_then(|h| h.status);
        let code = state.exit_code.unwrap_or_default();
        let ended = match state.oom_killed {
            Some(true) => format!("exit code {code}, it had used up its memory"),
            _ => format!("exit code {code}"),
        };
        Standing {
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

    /// A setting that it was made with; an empty one is none.
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        let value = self.environment.get(name).map(String::as_str);
        value.filter(|v| !v.is_empty())
    }

    /// `order/1`.
    pub(super) fn target(&self) -> String {
        format!("{}/{}", self.role, self.replica)
    }

    /// # Errors
    /// It does not run.
    pub(super) fn must_run(&self) -> Result<()> {
        let (target, name) = (self.target(), &self.name);
        if self.standing.paused {
            bail!("{target} stands still; let it go on with `docker unpause {name}`");
        }
        if self.standing.restarting {
            bail!("{target} dies and is started again by Docker; see `docker logs {name}`");
        }
        if !self.standing.running {
            let status = &self.standing.status;
            bail!(
                "{target} does not run, its container is {status}; start it with `docker start {name}`"
            );
        }
        Ok(())
    }

    /// # Errors
    /// It cannot be reached from here.
    pub(super) fn must_be_in_reach(&self) -> Result<()> {
        let unpublished = |what: &str, port: u16| {
            let (target, name) = (self.target(), &self.name);
            format!(
                "{what} of {target} cannot be reached: port {port} of {name} is not published; publish it in the Compose file with `ports: [\"127.0.0.1::{port}\"]`"
            )
        };
        if self.standing.admin.is_none() {
            bail!(unpublished("the admin listener", self.admin_port));
        }
        if self.role == Role::Gateway && self.standing.shop.is_none() {
            bail!(unpublished("the door", self.port));
        }
        Ok(())
    }
}

/// Where a port of a container is to be found from here: where it is published; else, where containers are on a network
/// of this very machine, at the container's own address.
fn reach(network: &NetworkSettings, port: u16) -> Option<SocketAddr> {
    let published = bindings(network.ports.as_ref(), port).filter_map(|binding| {
        let port: u16 = binding.host_port.as_deref()?.parse().ok()?;
        let ip = binding.host_ip.as_deref().unwrap_or_default();
        let ip: IpAddr = match ip {
            // All addresses of this machine, and so its loopback.
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

    fn found(ports: serde_json::Value, state: serde_json::Value) -> Found {
        let inspected = json!({
            "Id": "ab12",
            "Name": "/doorbuster-order-1-1",
            "State": state,
            "Config": {"Env": ["DOORBUSTER_ADMIN_TOKEN=sesame", "DOORBUSTER_STOCK=", "DOORBUSTER_LISTEN=0.0.0.0:8081"]},
            "HostConfig": {"PortBindings": {"8081/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}},
            "NetworkSettings": {"Ports": ports, "Networks": {"shop": {"IPAddress": "172.30.0.7"}}},
        });
        let inspected: ContainerInspectResponse = serde_json::from_value(inspected).unwrap();
        Found::read(Role::Order, 1, &inspected).unwrap()
    }

    fn up() -> serde_json::Value {
        json!({"Status": "running", "Running": true, "Paused": false, "Pid": 42, "ExitCode": 0, "StartedAt": "t1"})
    }

    #[test]
    fn ports_are_where_they_are_published_and_else_at_the_container() {
        let ports = json!({
            "9080/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32770"}],
            "8081/tcp": null,
        });
        let found = found(ports, up());
        assert_eq!(found.standing.admin.unwrap().to_string(), "127.0.0.1:32770");
        if cfg!(target_os = "linux") {
            assert_eq!(found.standing.shop.unwrap().to_string(), "172.30.0.7:8081");
        }
        assert_eq!(found.setting("DOORBUSTER_ADMIN_TOKEN"), Some("sesame"));
        assert_eq!(found.setting("DOORBUSTER_STOCK"), None, "empty");
        assert!(found.wanders, "Docker chooses the port");
        assert_eq!(found.standing.pid, Some(42));
        assert!(found.must_run().is_ok() && found.must_be_in_reach().is_ok());
    }

    #[test]
    fn one_that_is_not_up_is_named_with_what_mends_it() {
        let told = |state| found(json!({}), state).must_run().unwrap_err().to_string();
        let paused = told(json!({"Status": "paused", "Running": true, "Paused": true}));
        assert!(
            paused.contains("docker unpause doorbuster-order-1-1"),
            "{paused}"
        );
        let dead =
            json!({"Status": "exited", "Running": false, "ExitCode": 137, "OOMKilled": true});
        let exited = told(dead.clone());
        assert!(
            exited.contains("is exited; start it with `docker start"),
            "{exited}"
        );
        let between =
            json!({"Status": "restarting", "Running": true, "Restarting": true, "ExitCode": 1});
        let looping = told(between);
        assert!(
            looping.contains("docker logs doorbuster-order-1-1"),
            "{looping}"
        );
        let standing = found(json!({}), dead).standing;
        assert_eq!(standing.admin, None, "nobody is there");
        assert!(standing.ended.contains("137") && standing.ended.contains("memory"));
    }
}
