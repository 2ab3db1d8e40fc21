//! How one fault is begun, looked after and ended: the interface between its course and what it is done with.

use crate::processes::{BoxFuture, InjectError};

/// One fault at its target.
///
/// The calls come in this order. After a [`Injection::begin`] that succeeded, [`Injection::end`] comes once; one that
/// failed must leave nothing behind by itself.
pub(super) trait Injection: Send {
    /// Brings the fault about and resolves when the target has it. May have something to say about it.
    fn begin(&mut self) -> BoxFuture<'_, Result<Option<String>, InjectError>>;

    /// Sees how the fault is doing, and repairs what a restarted target lost. Returns early when the fault is over.
    fn look(&mut self) -> BoxFuture<'_, Sighting>;

    /// Ends the fault, whatever it takes. Gives what went wrong, if something did.
    fn end(&mut self) -> BoxFuture<'_, Option<String>>;

    /// The requests that it touched in all, where that can be known. Apart from [`Injection::end`], because asking
    /// takes time that does not belong to the fault.
    fn total(&mut self) -> BoxFuture<'_, Option<u64>>;
}

/// What was seen of a fault in force.
#[derive(Debug, Default)]
pub(super) struct Sighting {
    /// Requests that it touched so far, where known.
    pub(super) hits: Option<u64>,
    /// What had to be done to keep it in force.
    pub(super) repaired: Option<String>,
    /// Whether it has ended everywhere by itself, or by someone else's hand.
    pub(super) gone: bool,
}
