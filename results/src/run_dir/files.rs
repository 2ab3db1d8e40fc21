//! The names of the files in a run directory.

/// The summary.
pub const SUMMARY: &str = "run.json";
/// One line per second.
pub const INTERVALS: &str = "intervals.jsonl";
/// One line per event of a fault.
pub const FAULTS: &str = "faults.jsonl";
/// One line per order, from its shopper's view.
pub const LEDGER: &str = "ledger.jsonl";
/// The plan, one line per session.
pub const PLAN: &str = "plan.jsonl";
/// The histograms of every second.
pub const LATENCY: &str = "latency.hlog";
