//! `doorbuster health`: whether a service is ready, as an exit code. For images that have no other HTTP client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::http::Http;
use crate::serve::ADMIN_TOKEN;

/// Whom to ask.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  doorbuster health                                 the service of this machine or container
  doorbuster health --admin 127.0.0.1:9081 --path /livez")]
pub(crate) struct HealthArgs {
    /// The service's admin listener. One that is on every address is asked on loopback
    #[arg(long, env = "DOORBUSTER_ADMIN", default_value = "127.0.0.1:9080")]
    admin: SocketAddr,
    /// What it is asked for; 200 is good health
    #[arg(long, default_value = "/readyz")]
    path: String,
    /// How long it may take to answer, in milliseconds
    #[arg(long, default_value_t = 2000)]
    within_ms: u64,
}

/// Asks once.
///
/// # Errors
/// No answer in time, or one that is not 200.
pub(crate) fn health(args: &HealthArgs) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let http = Http::new().with_token(std::env::var(ADMIN_TOKEN).ok());
    let address = nearest(args.admin);
    let limit = Duration::from_millis(args.within_ms);
    runtime
        .block_on(http.get(address, &args.path, limit))
        .with_context(|| {
            format!("no service is ready behind {address}; --admin says where it is")
        })?;
    Ok(())
}

/// Where a listener can be called from its own machine: the address that stands for all of them cannot be.
fn nearest(listener: SocketAddr) -> SocketAddr {
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
    fn a_listener_on_every_address_is_asked_on_loopback() {
        for (listener, asked) in [
            ("0.0.0.0:9080", "127.0.0.1:9080"),
            ("[::]:9080", "[::1]:9080"),
            ("10.0.0.7:9080", "10.0.0.7:9080"),
        ] {
            assert_eq!(nearest(listener.parse().unwrap()).to_string(), asked);
        }
    }
}
