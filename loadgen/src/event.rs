//! The events of a running load, for the record, the terminal and the console.

use std::time::Duration;

use hdrhistogram::Histogram;
use results::hlog::LatencyKind;
use results::record::{Interval, LedgerEntry};

/// An event to record or to show.
#[derive(Debug, Clone)]
pub enum Event {
    /// A second is over. `services` and `faults` are empty, since the load generator has no data on them.
    Interval(Box<Interval>),
    /// The latencies of a step in the second whose [`Event::Interval`] follows. Two for each step: response and service
    /// time.
    Histogram(StepHistogram),
    /// The outcome of an order, possibly unknown.
    Ledger(LedgerEntry),
}

/// The latencies of one step in one second, in microseconds, as `results::hlog` writes them.
#[derive(Debug, Clone)]
pub struct StepHistogram {
    /// The step's name.
    pub step: &'static str,
    /// Response time or service time.
    pub kind: LatencyKind,
    /// Start of the second, in seconds from the start of the load.
    pub start_s: f64,
    /// One second, or less at the end of the load.
    pub lasts: Duration,
    /// The latencies.
    pub histogram: Histogram<u64>,
}
