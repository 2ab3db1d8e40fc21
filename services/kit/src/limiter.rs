//! The adaptive limit on requests in progress, with its clock and its lock.

use std::sync::Arc;

use parking_lot::Mutex;
use shop_resilience::{LimitConfig, Limiter, Moment, Permit, Priority, Served, ShedReason};

use crate::clock::Clock;

/// The limit of a service. Clones share it.
#[derive(Clone)]
pub struct SharedLimiter {
    limiter: Arc<Mutex<Limiter>>,
    clock: Clock,
}

impl SharedLimiter {
    /// A limit with the default configuration.
    pub fn new(clock: Clock) -> Self {
        Self {
            limiter: Arc::new(Mutex::new(Limiter::new(LimitConfig::default()))),
            clock,
        }
    }

    /// Admits a request.
    ///
    /// # Errors
    /// The limit for that priority is reached.
    pub fn admit(&self, priority: Priority) -> Result<LimiterPermit, ShedReason> {
        let permit = self.limiter.lock().try_acquire(priority);
        let permit = permit.map_err(|shed| shed.reason)?;
        Ok(LimiterPermit {
            shared: self.clone(),
            permit: Some(permit),
            since: self.clock.now(),
        })
    }

    /// The current limit.
    pub fn limit(&self) -> u32 {
        self.limiter.lock().limit()
    }

    /// The limit and the requests in progress, at one instant.
    pub fn limit_and_in_flight(&self) -> (u32, u32) {
        let limiter = self.limiter.lock();
        (limiter.limit(), limiter.in_flight())
    }

    fn release(&self, permit: Permit, since: Moment, served: Served) {
        let now = self.clock.now();
        let mut limiter = self.limiter.lock();
        limiter.release(permit, now, now.since(since), served);
    }
}

/// An admitted request. Dropped before [`release`](Self::release), when the request was cancelled, it gives its slot back
/// without an outcome.
pub struct LimiterPermit {
    shared: SharedLimiter,
    permit: Option<Permit>,
    since: Moment,
}

impl LimiterPermit {
    /// Ends the request with this outcome.
    pub fn release(mut self, outcome: Served) {
        if let Some(permit) = self.permit.take() {
            self.shared.release(permit, self.since, outcome);
        }
    }
}

impl Drop for LimiterPermit {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.shared.release(permit, self.since, Served::Discarded);
        }
    }
}
