//! Where the harness's own metrics are served so that a Prometheus in containers finds them: on the address of this
//! machine that containers know as `host.docker.internal`, at a port that its configuration names.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use tokio::net::TcpListener;

use super::{api, find};
use crate::serve::ADMIN_TOKEN;

/// Where a Prometheus in containers looks for the harness.
const PORT: u16 = 9464;
/// What containers call this machine.
const HOST: &str = "host.docker.internal";

/// A place for the harness's page.
pub(crate) struct Place {
    /// Where it is to be served.
    pub(crate) listener: TcpListener,
    /// What it is to ask for: the token of the services' admin listeners, which their Prometheus shows.
    pub(crate) token: Option<String>,
    /// Who finds it there, in words.
    pub(crate) note: String,
}

/// Takes a place for the page of a run against a project's shop.
///
/// # Errors
/// No Docker, no such project, no free port.
pub(crate) async fn place(project: &str) -> Result<Place> {
    let api = api::connect().await?;
    let token = find(&api, project).await?.token()?;
    // Elsewhere Docker is in a machine of its own, which leads its containers to our loopback.
    let linux = cfg!(target_os = "linux");
    // A page that asks for nothing stays on the loopback as well.
    let open_to_all = linux && token.is_none();
    let gateway = if linux && !open_to_all {
        api::host_gateway(&api).await
    } else {
        None
    };
    let (listener, found) = listen(gateway, PORT).await?;
    let note = if open_to_all {
        format!("containers do not find them, for the shop has no {ADMIN_TOKEN}")
    } else if found {
        format!("containers find them at {HOST}:{PORT}")
    } else {
        format!(
            "port {PORT} is taken, so that a Prometheus in containers does not find them; another run may have it"
        )
    };
    Ok(Place {
        listener,
        token,
        note,
    })
}

/// Listens where containers look, and else anywhere; says which.
async fn listen(gateway: Option<IpAddr>, port: u16) -> Result<(TcpListener, bool)> {
    let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
    // An address that this machine does not have is one of the machine that Docker is in.
    for ip in gateway.into_iter().chain([loopback]) {
        match TcpListener::bind(SocketAddr::new(ip, port)).await {
            Ok(listener) => return Ok((listener, true)),
            // On another address it would not be found.
            Err(e) if e.kind() == ErrorKind::AddrInUse => break,
            Err(e) => tracing::debug!(error = %e, %ip, "no place for the harness's metrics"),
        }
    }
    let listener = TcpListener::bind(SocketAddr::new(loopback, 0)).await;
    Ok((
        listener.context("no port for the harness's metrics can be had; see --metrics")?,
        false,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_is_taken_and_an_address_that_is_elsewhere_are_no_obstacle() {
        let loopback = Some(IpAddr::from(Ipv4Addr::LOCALHOST));
        let (first, found) = listen(loopback, 0).await.unwrap();
        assert!(found);
        let taken = first.local_addr().unwrap().port();
        let (second, found) = listen(loopback, taken).await.unwrap();
        assert!(!found && second.local_addr().unwrap().port() != taken);
        // Of a range that is nobody's.
        let elsewhere = Some(IpAddr::from(Ipv4Addr::new(203, 0, 113, 7)));
        let (third, found) = listen(elsewhere, 0).await.unwrap();
        assert!(found && third.local_addr().unwrap().ip().is_loopback());
    }
}
