//! The scope of a document.

use crate::role::Role;

/// Where a document is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentScope {
    /// At a service, for the other services.
    Service(Role),
    /// At the gateway, for everyone. The gateway refuses more: requests beyond the rate limit, bodies that take too long.
    Public,
}
