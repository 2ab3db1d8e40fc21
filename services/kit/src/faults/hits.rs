//! The hits of a fault: counted for its state and in the metrics.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::counter;

use crate::telemetry::metrics::Metrics;
use crate::telemetry::names;

/// The hit counter of one fault. Clones share it, and may outlive the fault.
#[derive(Clone)]
pub struct FaultHits {
    name: Arc<str>,
    count: Arc<AtomicU64>,
    metrics: Metrics,
}

impl FaultHits {
    pub(crate) fn new(fault: &str, metrics: &Metrics) -> Self {
        Self {
            name: fault.into(),
            count: Arc::default(),
            metrics: metrics.clone(),
        }
    }

    /// The fault's name.
    pub fn fault(&self) -> &str {
        &self.name
    }

    /// Adds one hit.
    pub fn add(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let name = self.name.to_string();
        self.metrics
            .record(|| counter!(names::FAULT_HITS, "fault" => name).increment(1));
    }

    /// The hits so far.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for FaultHits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultHits({}: {})", self.name, self.count())
    }
}
