//! The clocks of a process. Policies do not read them: the time is passed in.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use shop_resilience::Moment;

/// The time of day of one service: the system's, plus the skew of active faults. Clones share the skew.
///
/// It is used for timestamps, for the leases of orders, deliveries and mails, and for the expiry of tokens. Durations,
/// deadlines, breakers and the end of faults use a monotonic clock instead ([`Clock`]), so a skewed time of day does not affect
/// them.
#[derive(Debug, Clone, Default)]
pub struct WallClock {
    /// How far it is ahead of the system's, in milliseconds; negative if it is behind.
    skew_ms: Arc<AtomicI64>,
}

impl WallClock {
    /// Milliseconds since 1970, never below 0.
    pub fn unix_ms(&self) -> i64 {
        let system_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_millis() as i64);
        let skew_ms = self.skew_ms.load(Ordering::Relaxed);
        system_ms.saturating_add(skew_ms).max(0)
    }

    /// Skews it until the guard is dropped. Several skews add up.
    pub fn skew(&self, by_ms: i64) -> Skew {
        self.skew_ms.fetch_add(by_ms, Ordering::Relaxed);
        Skew {
            clock: self.clone(),
            by_ms,
        }
    }
}

/// Keeps a clock skewed until it is dropped.
#[derive(Debug)]
pub struct Skew {
    clock: WallClock,
    by_ms: i64,
}

impl Drop for Skew {
    fn drop(&mut self) {
        self.clock.skew_ms.fetch_sub(self.by_ms, Ordering::Relaxed);
    }
}

/// A monotonic clock for policies: the time since it was started.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// Starts a clock at the origin.
    pub fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    /// The current time.
    pub fn now(&self) -> Moment {
        Moment::after_origin(self.origin.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn skews_add_up_and_each_ends_on_its_own() {
        let clock = WallClock::default();
        let system = WallClock::default();
        // Rounded to hours, because a slow machine may pause between the two readings.
        let hours_ahead = || (clock.unix_ms() - system.unix_ms() + HOUR_MS / 2).div_euclid(HOUR_MS);
        let back = clock.skew(-2 * HOUR_MS);
        assert_eq!(hours_ahead(), -2);
        let ahead = clock.clone().skew(5 * HOUR_MS);
        assert_eq!(hours_ahead(), 3);
        drop(back);
        assert_eq!(hours_ahead(), 5);
        drop(ahead);
        assert_eq!(hours_ahead(), 0);
    }

    #[test]
    fn the_time_is_never_before_1970() {
        let clock = WallClock::default();
        let _skew = clock.skew(i64::MIN);
        assert_eq!(clock.unix_ms(), 0);
    }
}
