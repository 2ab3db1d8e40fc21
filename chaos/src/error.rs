//! Why a fault could not be injected or ended.

use std::net::SocketAddr;

use http::StatusCode;
use thiserror::Error;

/// Why a fault could not be injected or ended.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InjectError {
    /// The shop has no such role or replica.
    #[error("the shop has no {target}")]
    NoSuchTarget {
        /// `order`, `order/1`.
        target: String,
    },
    /// The replica is not running.
    #[error("{target} is not running")]
    NotRunning {
        /// `order/1`.
        target: String,
    },
    /// The admin endpoint did not reply; it may have acted.
    #[error("no reply from the admin endpoint {address}: {reason}")]
    Unreachable {
        /// Its address.
        address: SocketAddr,
        /// What happened.
        reason: String,
    },
    /// The admin endpoint refused.
    #[error("the admin endpoint {address} answered {status}: {reason}")]
    Refused {
        /// Its address.
        address: SocketAddr,
        /// Its status.
        status: StatusCode,
        /// Its reason.
        reason: String,
    },
    /// The reply of the admin endpoint breaks the contract; it may have acted.
    #[error("the admin endpoint {address} sent an unexpected reply: {reason}")]
    Protocol {
        /// Its address.
        address: SocketAddr,
        /// What is wrong with the reply.
        reason: String,
    },
    /// The process could not be killed, stopped, paused or started.
    #[error("{target}: {reason}")]
    Process {
        /// `order/1`.
        target: String,
        /// The error of the operating system, Docker or Kubernetes.
        reason: String,
    },
    /// The proxies on an edge returned an error, or there are none.
    #[error("{edge}: {reason}")]
    Path {
        /// `payment->bank`.
        edge: String,
        /// The error of the proxy.
        reason: String,
    },
    /// The fault's window was over before it could be injected.
    #[error("its time was over before it was injected")]
    TooLate,
}
