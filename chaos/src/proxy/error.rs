//! Errors of the proxy. Their texts begin like Toxiproxy's, because its clients compare them.

use std::io;

/// Why a request to the proxy failed.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// No proxy has that name.
    #[error("proxy not found")]
    NotFound,
    /// A proxy has that name already.
    #[error("proxy already exists")]
    Exists,
    /// The proxy has no toxic of that name.
    #[error("toxic not found")]
    ToxicNotFound,
    /// The proxy has a toxic of that name already.
    #[error("toxic already exists")]
    ToxicExists,
    /// A required field is missing.
    #[error("missing required field: {0}")]
    Missing(String),
    /// The stream is neither `upstream` nor `downstream`.
    #[error("stream was invalid, can be either upstream or downstream")]
    Stream,
    /// There is no such type of toxic.
    #[error("invalid toxic type: {0}")]
    Type(String),
    /// The request body is invalid.
    #[error("bad request body: {0}")]
    Body(String),
    /// The listen address is invalid.
    #[error("listen tcp: address {address}: {reason}")]
    Address {
        /// The address as given.
        address: String,
        /// Why it is invalid.
        reason: String,
    },
    /// The operating system refused to listen.
    #[error("listen tcp {address}: bind: {}", bind_reason(.source))]
    Listen {
        /// The address.
        address: String,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl ProxyError {
    /// The HTTP status, as in Toxiproxy. A listen address that fails is a 500 there.
    pub fn status(&self) -> u16 {
        match self {
            Self::NotFound | Self::ToxicNotFound => 404,
            Self::Exists | Self::ToxicExists => 409,
            Self::Missing(_) | Self::Stream | Self::Type(_) | Self::Body(_) => 400,
            Self::Address { .. } | Self::Listen { .. } => 500,
        }
    }
}

/// The text of Go's standard library, as Toxiproxy returns it.
fn bind_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "address already in use".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}
