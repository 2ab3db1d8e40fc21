//! The time window that is charged to a fault.

use crate::record::Interval;
use crate::steady::ROUNDING_S;

/// The time window that is charged to a fault.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Window {
    pub(super) from_s: f64,
    pub(super) to_s: f64,
}

impl Window {
    /// The seconds that overlap it.
    pub(super) fn seconds(self, intervals: &[Interval]) -> impl Iterator<Item = &Interval> {
        intervals
            .iter()
            .filter(move |second| self.share_of(second) > ROUNDING_S)
    }

    /// How much of a second lies in it, from 0 to 1.
    pub(super) fn share_of(self, second: &Interval) -> f64 {
        (second.t_s.min(self.to_s) - (second.t_s - 1.0).max(self.from_s)).clamp(0.0, 1.0)
    }

    pub(super) fn length_s(self) -> f64 {
        self.to_s - self.from_s
    }
}
