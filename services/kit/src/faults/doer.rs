//! The seam for faults that are not of requests: of the database, and of the process as a whole.
//!
//! [`Faults`](super::Faults) takes the order, keeps its time and tells its state; what is to be done is done by whoever
//! registered for it. A doer begins an effect and gives a guard back. The guard is dropped when the fault is over, be
//! it by its time to live, without anybody asking, or because it was cleared, and the drop ends the effect.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::counter;
use shop_contract::faults::FaultOrder;

use super::FaultRefused;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::names;

/// An effect that lasts until this is dropped. Dropping it must not wait for anything: it may be a request's task that
/// does it.
pub type Effect = Box<dyn Send>;

/// Does the faults of one sort.
pub trait Doer: Send + Sync {
    /// Whether this order can be carried out here.
    ///
    /// # Errors
    /// [`FaultRefused::Invalid`] with what to do instead.
    fn check(&self, order: &FaultOrder) -> Result<(), FaultRefused>;

    /// Begins the effect of an order that was checked. It must not wait, for whoever asks for a fault waits for its
    /// answer: what takes time belongs into a task or thread that the effect's end stops.
    ///
    /// Each piece of work with the database that is touched is to be told to `hits`. Requests served while a fault of
    /// the process is in force are counted by the server stack, and such a doer has nothing to tell.
    fn begin(&self, order: &FaultOrder, hits: Hits) -> Effect;
}

/// The count of what one fault touched. Cloning shares it; it may outlive the fault.
#[derive(Clone)]
pub struct Hits {
    name: Arc<str>,
    count: Arc<AtomicU64>,
    metrics: Metrics,
}

impl Hits {
    pub(crate) fn of(name: &str, metrics: &Metrics) -> Self {
        Self {
            name: name.into(),
            count: Arc::default(),
            metrics: metrics.clone(),
        }
    }

    /// The fault's name.
    pub fn fault(&self) -> &str {
        &self.name
    }

    /// One more.
    pub fn add(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let name = self.name.to_string();
        self.metrics
            .record(|| counter!(names::FAULT_HITS, "fault" => name).increment(1));
    }

    /// How many so far.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Hits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hits({}: {})", self.name, self.count())
    }
}
