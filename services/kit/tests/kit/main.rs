//! The kit over real sockets: what a service gets from its peers and its database when they are slow or gone.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod bulkheads;
mod hedges;
mod pools;

use std::time::Duration;

use shop_kit::context::Context;
use shop_resilience::Priority;

/// The limit for any condition to become true. A passing test never waits that long.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A context with this priority.
fn with_priority(priority: Priority) -> Context {
    Context {
        priority,
        ..Context::background()
    }
}
