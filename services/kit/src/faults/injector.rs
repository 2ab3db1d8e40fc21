//! The interface for faults of the database and of the process.
//!
//! [`Faults`](super::Faults) accepts the order, keeps its time and reports its state. The injector that registered for the
//! sort of fault starts it and returns a guard. The guard is dropped when the fault ends, by its time to live or because it
//! was cleared, and the drop undoes the fault.

use shop_contract::faults::FaultOrder;

use super::error::FaultRefused;
use super::hits::FaultHits;

/// Keeps a fault active until it is dropped. The drop must not block: it may run in the task of a request.
pub type FaultGuard = Box<dyn Send>;

/// Injects the faults of one sort.
pub trait FaultInjector: Send + Sync {
    /// Checks whether this order can be carried out here.
    ///
    /// # Errors
    /// [`FaultRefused::Invalid`] with what to do instead.
    fn check(&self, order: &FaultOrder) -> Result<(), FaultRefused>;

    /// Starts the fault of a checked order. It must not block, as the caller of `POST /faults` waits for it: slow work
    /// belongs in a task or thread that the guard's drop stops.
    ///
    /// A database injector adds a hit for each piece of database work that it changes. Hits of process faults are requests,
    /// and the server stack counts those.
    fn start(&self, order: &FaultOrder, hits: FaultHits) -> FaultGuard;
}
