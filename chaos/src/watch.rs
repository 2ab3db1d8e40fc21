//! What the injector needs to see of the run, for faults that wait for something to happen.

use crate::fault::Breaker;
use crate::processes::BoxFuture;

/// Eyes on the shop.
pub trait Watch: Send + Sync {
    /// Whether a breaker is open, or was open a moment ago and now lets a probe through. `None` when no caller could
    /// be asked.
    fn is_open<'a>(&'a self, breaker: &'a Breaker) -> BoxFuture<'a, Option<bool>>;
}
