//! How one sort of fault is begun, checked and ended: the interface between a fault's lifecycle and its target.

use crate::backend::BoxFuture;
use crate::error::InjectError;

/// One fault at its target.
///
/// [`Injection::end`] is called once after a successful [`Injection::begin`]. A `begin` that fails cleans up by itself.
pub(super) trait Injection: Send {
    /// Injects the fault and resolves when it is in force. The text is a detail for the event.
    fn begin(&mut self) -> BoxFuture<'_, Result<Option<String>, InjectError>>;

    /// Checks a fault in force, and restores it at a restarted target. Returns early when the fault is to end.
    fn check(&mut self) -> BoxFuture<'_, CheckResult>;

    /// Ends the fault. Returns what went wrong, if anything did.
    fn end(&mut self) -> BoxFuture<'_, Option<String>>;

    /// The hits of the whole fault, where known. It is separate from [`Injection::end`], since the time that this
    /// takes is not part of the fault.
    fn total_hits(&mut self) -> BoxFuture<'_, Option<u64>>;
}

/// What a check of a fault in force has found.
#[derive(Debug, Default)]
pub(super) struct CheckResult {
    /// Requests that it affected so far, where known.
    pub(super) hits: Option<u64>,
    /// What was done to keep it in force.
    pub(super) repaired: Option<String>,
    /// Whether it has ended everywhere: by its time to live, or because someone cleared it.
    pub(super) gone: bool,
}
