//! What a call returns: an answer, or the reason why there is none.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use shop_contract::problem::Problem;
use shop_contract::role::Role;

/// An HTTP answer of any status.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its whole body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// [`CallError::Body`] for a body of another shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        serde_json::from_slice(&self.body).map_err(|e| CallError::Body(e.to_string()))
    }

    /// The slug of the problem in the body, where there is one.
    pub fn problem(&self) -> Option<String> {
        let problem: Problem = serde_json::from_slice(&self.body).ok()?;
        Some(problem.slug().to_owned())
    }

    /// The body of a successful answer as JSON.
    ///
    /// # Errors
    /// [`CallError::Status`] for another status, [`CallError::Body`] for a body of another shape.
    pub fn ok<T: DeserializeOwned>(&self, peer: Role) -> Result<T, CallError> {
        if self.status.is_success() {
            self.json()
        } else {
            Err(CallError::Status(peer, self.status.as_u16()))
        }
    }
}

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No time is left.
    #[error("no time is left")]
    Deadline,
    /// The callee refused it because of overload.
    #[error("{0} is overloaded")]
    Shed(Role),
    /// The breakers of all replicas are open.
    #[error("{0} has failed too often lately and is left alone for a while")]
    Open(Role),
    /// The bulkhead is full. The callee was not asked.
    #[error("too many calls to {0} are under way already")]
    Bulkhead(Role),
    /// This service has no address of the callee.
    #[error("no address of {0} is known; set DOORBUSTER_PEERS")]
    NoAddress(Role),
    /// The last attempt failed on the network, for this reason.
    #[error("{0} did not answer: {1}")]
    Transport(Role, &'static str),
    /// The answer's status is not a success.
    #[error("{0} answered {1}")]
    Status(Role, u16),
    /// A body could not be written or read.
    #[error("a body cannot be read: {0}")]
    Body(String),
}
