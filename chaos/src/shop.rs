//! The parts of a scenario that its faults are checked against.

use std::collections::BTreeMap;
use std::time::Duration;

/// The shop and the load that faults are meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shop {
    /// Number of replicas by role.
    pub replicas: BTreeMap<String, u32>,
    /// Length of the whole load. [`Duration::MAX`] if it could not be read: then no fault is too late.
    pub duration: Duration,
}
