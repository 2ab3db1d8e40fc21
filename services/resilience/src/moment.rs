//! A point in time that the caller measured.
//!
//! `std::time::Instant` can only come from the machine's clock, so a policy that takes one cannot run in virtual time.
//! A [`Moment`] is a plain number: the kit derives it from an `Instant`, a simulation counts it up.

use std::ops::{Add, Sub};
use std::time::Duration;

/// Time since an origin of the caller's choice. Moments of different origins must not be mixed.
///
/// All arithmetic saturates: a policy must not panic because two threads read the clock in one order and took a lock in
/// the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(Duration);

impl Moment {
    /// The origin itself.
    pub const ORIGIN: Self = Self(Duration::ZERO);

    /// The moment this long after the origin.
    pub const fn after_origin(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// The time from the origin to this moment.
    pub const fn elapsed(self) -> Duration {
        self.0
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }
}

impl Sub<Duration> for Moment {
    type Output = Self;

    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(by))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_stops_at_the_ends_of_time() {
        let second = Duration::from_secs(1);
        let late = Moment::after_origin(Duration::MAX);
        assert_eq!(Moment::ORIGIN - second, Moment::ORIGIN);
        assert_eq!(late + second, late);
        assert_eq!(Moment::ORIGIN.since(late), Duration::ZERO);
        assert_eq!((Moment::ORIGIN + second).since(Moment::ORIGIN), second);
    }
}
