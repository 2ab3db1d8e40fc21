//! What a running load tells: for the record, the terminal and the console.

use std::time::Duration;

use hdrhistogram::Histogram;
use results::hlog::LatencyKind;
use results::record::{Interval, LedgerEntry};

/// Something to write down or to show.
#[derive(Debug, Clone)]
pub enum Event {
    /// A second is over. `services` and `faults` are empty: the load does not know them.
    Interval(Box<Interval>),
    /// A step's latencies in the second whose [`Event::Interval`] follows; two for each step that was taken.
    Histogram(StepHistogram),
    /// A shopper was told something of an order, or never will be.
    Ledger(LedgerEntry),
}

/// The latencies of one step in one second, in microseconds; what `results::hlog` writes.
#[derive(Debug, Clone)]
pub struct StepHistogram {
    /// The step's name.
    pub step: &'static str,
    /// Response time or service time.
    pub kind: LatencyKind,
    /// Start of the second, in seconds from the start of the load.
    pub start_s: f64,
    /// A second; less for the last one.
    pub lasts: Duration,
    /// The latencies.
    pub histogram: Histogram<u64>,
}
