//! The kit over real sockets: what a service gets from its peers and its database when they are slow or gone.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod bulkheads;
mod hedges;
mod pools;

use std::time::{Duration, Instant};

use shop_kit::context::Context;
use shop_resilience::Priority;

/// The limit for any condition to become true. A passing test never waits that long.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Waits until a condition is true.
async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < TIMEOUT, "timed out waiting for {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A context with this priority.
fn with_priority(priority: Priority) -> Context {
    Context {
        priority,
        ..Context::background()
    }
}
