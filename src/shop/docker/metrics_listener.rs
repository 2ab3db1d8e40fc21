//! The listener of the harness's metrics where a Prometheus in containers can scrape them: port 9464 on the address that
//! containers know as `host.docker.internal`.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use tokio::net::TcpListener;

use super::{api, project};
use crate::environment::ADMIN_TOKEN;

/// The port that the Prometheus configuration of the containers names.
const PORT: u16 = 9464;
/// The name of this machine in containers.
const HOST: &str = "host.docker.internal";

/// A listener for the harness's metrics.
pub(crate) struct MetricsListener {
    /// The bound socket.
    pub(crate) listener: TcpListener,
    /// The token that the page requires: that of the admin listeners, which the Prometheus sends.
    pub(crate) token: Option<String>,
    /// Whether containers can scrape it, as text.
    pub(crate) note: String,
}

/// Binds a listener for a run against a project's shop.
///
/// # Errors
/// No Docker, no such project, no free port.
pub(crate) async fn bind(project: &str) -> Result<MetricsListener> {
    let api = api::connect().await?;
    let token = project::find(&api, project).await?.token()?;
    // On other systems Docker runs in a virtual machine, which forwards to our loopback.
    let linux = cfg!(target_os = "linux");
    // Without a token the page stays on the loopback.
    let without_token = linux && token.is_none();
    let gateway = if linux && !without_token {
        api::host_gateway(&api).await
    } else {
        None
    };
    let (listener, reachable) = listen(gateway, PORT).await?;
    let note = if without_token {
        format!("containers cannot scrape them, because the shop has no {ADMIN_TOKEN}")
    } else if reachable {
        format!("containers scrape them at {HOST}:{PORT}")
    } else {
        format!(
            "port {PORT} is taken, perhaps by another run, so a Prometheus in containers cannot scrape them"
        )
    };
    Ok(MetricsListener {
        listener,
        token,
        note,
    })
}

/// Listens at `port`, or at any free port. The second value: whether it is `port`.
async fn listen(gateway: Option<IpAddr>, port: u16) -> Result<(TcpListener, bool)> {
    let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
    // An address that this machine does not have belongs to Docker's virtual machine.
    for ip in gateway.into_iter().chain([loopback]) {
        match TcpListener::bind(SocketAddr::new(ip, port)).await {
            Ok(listener) => return Ok((listener, true)),
            // Another address would not be reachable from containers.
            Err(e) if e.kind() == ErrorKind::AddrInUse => break,
            Err(e) => {
                tracing::debug!(error = %e, %ip, "the harness's metrics cannot be served there")
            }
        }
    }
    let listener = TcpListener::bind(SocketAddr::new(loopback, 0)).await;
    Ok((
        listener.context("no free port for the harness's metrics; see --metrics")?,
        false,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_and_a_foreign_address_are_replaced() {
        let loopback = Some(IpAddr::from(Ipv4Addr::LOCALHOST));
        let (first, reachable) = listen(loopback, 0).await.unwrap();
        assert!(reachable);
        let taken = first.local_addr().unwrap().port();
        let (second, reachable) = listen(loopback, taken).await.unwrap();
        assert!(!reachable && second.local_addr().unwrap().port() != taken);
        // From a range reserved for documentation.
        let elsewhere = Some(IpAddr::from(Ipv4Addr::new(203, 0, 113, 7)));
        let (third, reachable) = listen(elsewhere, 0).await.unwrap();
        assert!(reachable && third.local_addr().unwrap().ip().is_loopback());
    }
}
