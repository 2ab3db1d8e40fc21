//! `doorbuster health`: checks whether a service is ready, as an exit code. For images without another HTTP client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::environment::ADMIN_TOKEN;
use crate::http::HttpClient;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  doorbuster health                                 the service of this machine or container
  doorbuster health --admin 127.0.0.1:9081 --path /livez")]
pub(super) struct HealthArgs {
    /// The service's admin listener. A listener on all addresses is reached on the loopback
    #[arg(long, env = "DOORBUSTER_ADMIN", default_value = "127.0.0.1:9080")]
    admin: SocketAddr,
    /// The path to get. Status 200 means healthy
    #[arg(long, default_value = "/readyz")]
    path: String,
    /// The time limit, in milliseconds
    #[arg(long, default_value_t = 2000)]
    within_ms: u64,
}

/// Sends one request.
///
/// # Errors
/// No response in time, or a status other than 200.
pub(super) fn health(args: &HealthArgs) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let http = HttpClient::new().with_token(std::env::var(ADMIN_TOKEN).ok());
    let address = local_address(args.admin);
    let limit = Duration::from_millis(args.within_ms);
    runtime
        .block_on(http.get(address, &args.path, limit))
        .with_context(|| {
            format!("no service is ready at {address}; set its address with --admin")
        })?;
    Ok(())
}

/// The address at which a listener is reached on its own machine. A listener on all addresses is reached on the loopback.
fn local_address(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_reached_on_the_loopback() {
        for (listener, expected) in [
            ("0.0.0.0:9080", "127.0.0.1:9080"),
            ("[::]:9080", "[::1]:9080"),
            ("10.0.0.7:9080", "10.0.0.7:9080"),
        ] {
            assert_eq!(
                local_address(listener.parse().unwrap()).to_string(),
                expected
            );
        }
    }
}
