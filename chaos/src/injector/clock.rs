//! The time since the run's start.

use std::time::Duration;

use tokio::time::Instant;

/// Counts from the run's start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) started: Instant,
}

impl Clock {
    pub(super) fn elapsed(self) -> Duration {
        Instant::now().saturating_duration_since(self.started)
    }
}
