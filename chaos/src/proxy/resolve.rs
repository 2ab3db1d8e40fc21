//! Listen addresses in the format of Toxiproxy: `host:port`, `:port` or empty.

use std::net::{Ipv6Addr, SocketAddr};

use super::error::ProxyError;

/// Resolves a listen address. IPv4 is preferred, as in Toxiproxy. Without a host it is all addresses of this machine.
///
/// # Errors
/// [`ProxyError::Address`].
pub(super) async fn resolve(listen: &str) -> Result<SocketAddr, ProxyError> {
    let invalid = |reason: String| ProxyError::Address {
        address: listen.to_owned(),
        reason,
    };
    if let Ok(address) = listen.parse() {
        return Ok(address);
    }
    let (host, port) = match listen.rsplit_once(':') {
        Some(parts) => parts,
        None if listen.is_empty() => ("", "0"),
        None => return Err(invalid("missing port in address".to_owned())),
    };
    let port: u16 = port
        .parse()
        .map_err(|_| invalid(format!("`{port}` is no port: use 0 to 65535")))?;
    if host.is_empty() {
        return Ok((Ipv6Addr::UNSPECIFIED, port).into());
    }
    let found: Vec<_> = tokio::net::lookup_host((host, port))
        .await
        .map_err(|e| invalid(e.to_string()))?
        .collect();
    let first = found.iter().find(|a| a.is_ipv4()).or(found.first());
    first
        .copied()
        .ok_or_else(|| invalid("no such host".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listen_address_may_be_an_ip_a_host_name_or_only_a_port() {
        let text = |listen| async move { resolve(listen).await.unwrap().to_string() };
        assert_eq!(text("127.0.0.1:70").await, "127.0.0.1:70");
        assert_eq!(text("localhost:70").await, "127.0.0.1:70");
        assert_eq!(text("[::1]:70").await, "[::1]:70");
        assert_eq!(text(":70").await, "[::]:70");
        assert_eq!(text("").await, "[::]:0");
        for (listen, reason) in [("local373", "missing port"), ("localhost:http", "no port")] {
            let error = resolve(listen).await.unwrap_err().to_string();
            assert!(error.contains(listen) && error.contains(reason), "{error}");
        }
    }
}
