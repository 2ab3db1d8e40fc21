//! The current status of each fault, for consoles and metrics.

use std::collections::BTreeMap;

use crate::schedule::Schedule;

/// The status of every fault of the run, by name; future faults are included. It is the console's list, and gives the
/// label sets of `chaos_fault_active` and `chaos_fault_hits_total`.
pub type FaultStatuses = BTreeMap<String, FaultStatus>;

/// The status of a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultStatus {
    /// `latency`, `kill`, …
    pub kind: &'static str,
    /// `bank`, `order/1`, …
    pub target: String,
    /// Whether it is in force.
    pub active: bool,
    /// Requests that it affected so far; connections for a path fault.
    pub hits: u64,
}

/// The statuses before the first fault.
pub(super) fn initial(schedule: &Schedule) -> FaultStatuses {
    let status = |fault: &crate::fault::Fault| FaultStatus {
        kind: fault.kind.name(),
        target: fault.target.to_string(),
        active: false,
        hits: 0,
    };
    let faults = schedule.faults().iter();
    faults.map(|f| (f.name.clone(), status(f))).collect()
}
