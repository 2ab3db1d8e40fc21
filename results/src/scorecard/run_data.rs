//! The data of a run that scorecards are made from.

use crate::expect::Expectation;
use crate::record::{Interval, LedgerEntry};

/// The data of a run that cards are made from.
#[derive(Debug, Clone, Copy)]
pub struct RunData<'r> {
    /// The seconds, in order of time.
    pub intervals: &'r [Interval],
    /// The orders from their shoppers' view.
    pub ledger: &'r [LedgerEntry],
    /// What the scenario expects.
    pub expectations: &'r [Expectation],
}

impl RunData<'_> {
    /// The end of the last second.
    pub(super) fn end_s(&self) -> f64 {
        self.intervals.last().map_or(0.0, |second| second.t_s)
    }
}
