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

    fn release(&self, permit: Permit, since: Moment, served: Served) {
        let now = self.clock.now();
        let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        limiter.release(permit, now, now.since(since), served);
    }
}

/// A request that was taken in. Dropped before its end (it was cancelled), it gives its place back untold.
pub struct Seat {
    shared: SharedLimiter,
    permit: Option<Permit>,
    since: Moment,
}

impl Seat {
    /// The request is over; only a served one tells how long work takes.
    pub fn leave(mut self, served: bool) {
        let how = if served { Served::Ok } else { Served::Untold };
        if let Some(permit) = self.permit.take() {
            self.shared.release(permit, self.since, how);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.shared.release(permit, self.since, Served::Untold);
        }
    }
}
