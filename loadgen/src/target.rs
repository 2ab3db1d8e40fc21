//! The address of the shop, resolved once.

use std::net::{SocketAddr, ToSocketAddrs};

use http::Uri;
use http::uri::Scheme;

/// The address of the shop's gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Host and port, as in the `Host` header.
    host: String,
    addresses: Vec<SocketAddr>,
}

/// A target that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Not of the form `http://host:port`.
    #[error("`{0}` is not a target; write http://host:port, without a path")]
    Form(String),
    /// The name cannot be resolved.
    #[error("`{host}` cannot be found ({cause}); check the name, or write an IP address")]
    Unknown {
        /// Host and port.
        host: String,
        /// The resolver's error.
        cause: std::io::Error,
    },
}

impl Target {
    /// Parses `http://host:port` (default port 80) and resolves the host. It blocks, and is called once before the
    /// load, so that no sample contains a name lookup.
    ///
    /// # Errors
    /// A URL of another form, or a host that cannot be resolved.
    pub fn resolve(url: &str) -> Result<Self, TargetError> {
        let form = || TargetError::Form(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| form())?;
        let authority = uri.authority().ok_or_else(form)?;
        let plain = uri.scheme() == Some(&Scheme::HTTP)
            && matches!(uri.path(), "" | "/")
            && uri.query().is_none()
            && !authority.as_str().contains('@');
        if !plain {
            return Err(form());
        }
        let port = authority.port_u16().unwrap_or(80);
        let host = format!("{}:{port}", authority.host());
        let unknown = |cause| TargetError::Unknown {
            host: host.clone(),
            cause,
        };
        let addresses = host.to_socket_addrs().map_err(unknown)?.collect();
        Ok(Self { host, addresses })
    }

    /// Host and port.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self {
            host: address.to_string(),
            addresses: vec![address],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_url_of_a_host_is_accepted() {
        for (url, host) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://127.0.0.1:8080/", "127.0.0.1:8080"),
            ("http://[::1]:8080", "[::1]:8080"),
            ("http://127.0.0.1", "127.0.0.1:80"),
        ] {
            let target = Target::resolve(url).unwrap();
            assert_eq!(target.host(), host);
            assert_eq!(target.addresses().len(), 1);
        }
        for url in [
            "127.0.0.1:8080",
            "https://127.0.0.1",
            "http://127.0.0.1/shop",
            "http://me@127.0.0.1",
            "",
        ] {
            let message = Target::resolve(url).unwrap_err().to_string();
            assert!(message.contains("http://host:port"), "{message}");
        }
    }
}
