//! The clocks of a process, read at the edge and nowhere in a policy.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use shop_resilience::Moment;

/// Milliseconds since 1970.
pub fn unix_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_millis() as i64)
}

/// A steady clock for policies: time since it was made.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock that begins now.
    pub fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    /// The time.
    pub fn now(&self) -> Moment {
        Moment::after_origin(self.origin.elapsed())
    }
}
