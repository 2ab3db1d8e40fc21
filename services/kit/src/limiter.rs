//! The adaptive limit, with its clock and its lock.

use std::sync::{Arc, Mutex, PoisonError};

use shop_resilience::{LimitConfig, Limiter, Moment, Permit, Priority, Served, ShedReason};

use crate::clock::Clock;

/// The limit of a service. Cloning shares it.
#[derive(Clone)]
pub struct SharedLimiter {
    limiter: Arc<Mutex<Limiter>>,
    clock: Clock,
}

impl SharedLimiter {
    /// A limit with the shop's parameters.
    pub fn new(clock: Clock) -> Self {
        Self {
            limiter: Arc::new(Mutex::new(Limiter::new(LimitConfig::default()))),
            clock,
        }
    }

    /// Takes a request in.
    ///
    /// # Errors
    /// There is no room for that priority.
    pub fn enter(&self, priority: Priority) -> Result<Seat, ShedReason> {
        let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        let permit = limiter.try_acquire(priority).map_err(|shed| shed.reason)?;
        Ok(Seat {
            shared: self.clone(),
            permit: Some(permit),
            since: self.clock.now(),
        })
    }

    /// How many requests may be worked on at present.
    pub fn limit(&self) -> u32 {
        let limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        limiter.limit()
    }

    /// How many requests may be worked on at present, and how many are, at one instant.
    pub fn standing(&self) -> (u32, u32) {
        let limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        (limiter.limit(), limiter.in_flight())
    }

    fn release(&self, permit: Permit, since: Moment, served: Served) {
        let now = self.clock.now();
        let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        limiter.release(permit, now, now.since(since), served);
    }
}

/// On a response: the request waited in vain for something of this service's own, such as a database connection. The
/// limit learns from it that there is too much at once, which latency alone shows late.
#[derive(Debug, Clone, Copy)]
pub struct Overloaded;

/// A request that was taken in. Dropped before its end (it was cancelled), it gives its place back untold.
pub struct Seat {
    shared: SharedLimiter,
    permit: Option<Permit>,
    since: Moment,
}

impl Seat {
    /// The request is over.
    pub fn leave(mut self, how: Served) {
        if let Some(permit) = self.permit.take() {
            self.shared.release(permit, self.since, how);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.shared.release(permit, self.since, Served::Discarded);
        }
    }
}
