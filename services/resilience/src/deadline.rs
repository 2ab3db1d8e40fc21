//! Deadlines: how long the caller still waits, carried along every call.
//!
//! A service that works on after its caller has given up makes an overload worse: it spends what the next request
//! needs. So each call carries the remaining time, and each service refuses at once what it cannot finish in time.
//!
//! On the wire it is the *remaining* time and not a time of day, as in gRPC's `grpc-timeout`: the clocks of two hosts
//! differ by more than a request lasts. The price is that the time on the wire is not counted.

use std::time::Duration;

use crate::moment::Moment;

/// The moment after which nobody waits any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline {
    at: Moment,
}

impl Deadline {
    /// The header that carries the remaining time in whole milliseconds.
    pub const HEADER: &'static str = "x-deadline-ms";

    /// The longest time that can be asked for. Common proxies give up there (nginx waits 60 s for an upstream), so more
    /// is a mistake or an attack.
    pub const MAX: Duration = Duration::from_secs(60);

    /// With less time than this no work is begun: most requests take up to 5 ms in good times, and longer in bad ones.
    pub const FLOOR: Duration = Duration::from_millis(5);

    /// The deadline `budget` from now, at most [`Self::MAX`].
    pub fn after(now: Moment, budget: Duration) -> Self {
        Self {
            at: now + budget.min(Self::MAX),
        }
    }

    /// The moment itself.
    pub const fn at(self) -> Moment {
        self.at
    }

    /// The remaining time; zero after the deadline.
    pub const fn remaining(self, now: Moment) -> Duration {
        self.at.since(now)
    }

    /// The deadline of one try: `per_try_timeout` from now, but never later than the whole call's.
    ///
    /// It bounds both the wait for the try and the header that the try sends.
    #[must_use]
    pub fn for_try(self, now: Moment, per_try_timeout: Duration) -> Self {
        self.min(Self::after(now, per_try_timeout))
    }

    /// Whether work that needs at least `floor` is worth beginning. After the deadline none is.
    pub fn admits(self, now: Moment, floor: Duration) -> bool {
        let left = self.remaining(now);
        !left.is_zero() && left >= floor
    }

    /// The header's value: the remaining time, rounded down so that no hop adds time.
    pub fn to_header(self, now: Moment) -> String {
        self.remaining(now).as_millis().to_string()
    }

    /// Reads the header's value, at most [`Self::MAX`]. `None`: it is not a decimal number that fits a `u64`. The
    /// caller then decides, most likely for the service's own default.
    pub fn from_header(value: &str, now: Moment) -> Option<Self> {
        // `parse` would accept a plus sign.
        if !value.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let ms = value.parse().ok()?;
        Some(Self::after(now, Duration::from_millis(ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_no_deadline() {
        for text in [
            "",
            " ",
            "-1",
            "+5",
            "1.5",
            "5ms",
            " 5",
            "0x10",
            "99999999999999999999",
        ] {
            assert_eq!(Deadline::from_header(text, Moment::ORIGIN), None, "{text}");
        }
    }

    #[test]
    fn a_spent_deadline_admits_nothing_even_without_a_floor() {
        let deadline = Deadline::from_header("0", Moment::ORIGIN).unwrap();
        assert!(!deadline.admits(Moment::ORIGIN, Duration::ZERO));
    }

    #[test]
    fn work_is_admitted_down_to_the_floor() {
        let deadline = Deadline::after(Moment::ORIGIN, Duration::from_millis(20));
        let fifteen = Moment::ORIGIN + Duration::from_millis(15);
        assert!(deadline.admits(fifteen, Deadline::FLOOR));
        assert!(!deadline.admits(fifteen + Duration::from_nanos(1), Deadline::FLOOR));
    }
}
