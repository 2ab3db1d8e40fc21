//! The names of the files in a run directory.

/// The summary.
pub const SUMMARY: &str = "run.json";
/// One line per second.
pub const INTERVALS: &str = "intervals.jsonl";
/// One line per event of a fault.
pub const FAULTS: &str = "faults.jsonl";
/// One line per order, as its shopper knows it.
pub const LEDGER: &str = "ledger.jsonl";
/// What was planned from the seed.
pub const PLAN: &str = "plan.jsonl";
/// The histograms of every second.
pub const LATENCY: &str = "latency.hlog";
