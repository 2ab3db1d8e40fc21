//! The clocks of a process, read at the edge and nowhere in a policy.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use shop_resilience::Moment;

/// The time of day as one service believes it to be: the system's, unless a fault has put it wrong. Cloning shares it.
///
/// Everything that is written down, leased or expires goes by it: timestamps, leases of orders, deliveries and mails,
/// the expiry of tokens. What measures how long something takes goes by a steady clock instead ([`Clock`]), as do
/// deadlines, breakers and the end of faults: a wrong time of day does not touch them.
#[derive(Debug, Clone, Default)]
pub struct WallClock {
    /// How far it is ahead, in milliseconds; below 0 when it is behind.
    ahead_ms: Arc<AtomicI64>,
}

impl WallClock {
    /// Milliseconds since 1970, never below 0.
    pub fn unix_ms(&self) -> i64 {
        let right = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_millis() as i64);
        let ahead = self.ahead_ms.load(Ordering::Relaxed);
        right.saturating_add(ahead).max(0)
    }

    /// Puts it wrong by this much, on top of what it is wrong by already, until the skew is dropped.
    pub fn skew(&self, by_ms: i64) -> Skew {
        self.ahead_ms.fetch_add(by_ms, Ordering::Relaxed);
        Skew {
            clock: self.clone(),
            by_ms,
        }
    }
}

/// A clock that is wrong, as long as this lives.
#[derive(Debug)]
pub struct Skew {
    clock: WallClock,
    by_ms: i64,
}

impl Drop for Skew {
    fn drop(&mut self) {
        self.clock.ahead_ms.fetch_sub(self.by_ms, Ordering::Relaxed);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn skews_add_up_and_each_is_taken_back_by_itself() {
        let clock = WallClock::default();
        let right = WallClock::default();
        // Within the same hour, whatever a stalling machine does between two readings.
        let hours_ahead = || (clock.unix_ms() - right.unix_ms() + HOUR_MS / 2).div_euclid(HOUR_MS);
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
    fn there_is_no_time_before_1970() {
        let clock = WallClock::default();
        let _skew = clock.skew(i64::MIN);
        assert_eq!(clock.unix_ms(), 0);
    }
}
