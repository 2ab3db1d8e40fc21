//! Why the proxy does not do what it was asked. Texts begin as Toxiproxy's do, since its clients compare them.

use std::io;

/// What is wrong with what was asked.
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
    /// A field without which nothing can be done.
    #[error("missing required field: {0}")]
    Missing(String),
    /// Neither of the two directions.
    #[error("stream was invalid, can be either upstream or downstream")]
    Stream,
    /// No such toxic.
    #[error("invalid toxic type: {0}")]
    Type(String),
    /// What was sent is not what it should be.
    #[error("bad request body: {0}")]
    Body(String),
    /// An address that cannot be listened on as it is written.
    #[error("listen tcp: address {address}: {reason}")]
    Address {
        /// As it was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system does not let us listen.
    #[error("listen tcp {address}: bind: {}", bind_reason(.source))]
    Listen {
        /// Where.
        address: String,
        /// Its reason.
        source: io::Error,
    },
}

impl ProxyError {
    /// The HTTP status that Toxiproxy answers with. An address that cannot be had is a 500 there.
    pub fn status(&self) -> u16 {
        match self {
            Self::NotFound | Self::ToxicNotFound => 404,
            Self::Exists | Self::ToxicExists => 409,
            Self::Missing(_) | Self::Stream | Self::Type(_) | Self::Body(_) => 400,
            Self::Address { .. } | Self::Listen { .. } => 500,
        }
    }
}

/// In the words of Go's standard library, where clients know them.
fn bind_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "address already in use".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}
