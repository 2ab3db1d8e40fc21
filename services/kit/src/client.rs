//! The client stack: how a service calls another one.
//!
//! [`Kit::call`] asks the policies of `shop-resilience` which replica to ask, for how long, and whether to try again.
//! Each attempt has its own client span, carries the trace, the remaining time and the services' key, and reports its
//! outcome to breaker and balancer, also when it is cancelled.

pub(crate) mod answer;
mod attempt;
mod bulkhead;
mod call;
pub(crate) mod connector;
mod hedged;
pub(crate) mod peer;

use metrics::counter;
use shop_resilience::{Deadline, Outcome, RetryPolicy, RetryReason, Tried};

use crate::Kit;
use crate::context::Context;
use crate::telemetry::names;
use attempt::{Failed, Try};

pub use answer::{Answer, CallError};
pub use call::Call;

impl Kit {
    /// Calls another service. Any HTTP answer is `Ok`, also 4xx and, once all tries are used up, 5xx.
    ///
    /// # Errors
    /// There is no answer: see [`CallError`].
    pub async fn call(&self, call: Call, context: &Context) -> Result<Answer, CallError> {
        let peer = call.peer();
        let endpoints = self.peers().of(peer).ok_or(CallError::NoAddress(peer))?;
        let switches = self.config().resilience;
        let retries = RetryPolicy::default();
        // One slot for the whole call: its own caller waits during all tries and the pauses between them.
        let _permit = if switches.bulkheads {
            let limit = self.limiter().limit();
            let permit = endpoints.bulkhead().enter(context.priority, limit);
            Some(permit.ok_or(CallError::Bulkhead(peer))?)
        } else {
            None
        };
        endpoints.record_request(self.now());
        let mut tried: Vec<usize> = Vec::new();
        loop {
            let now = self.now();
            if context
                .deadline
                .is_some_and(|d| !d.admits(now, Deadline::FLOOR))
            {
                return Err(CallError::Deadline);
            }
            let guard = endpoints
                .pick(now, &tried, switches.breakers)
                .ok_or(CallError::Open(peer))?;
            let is_first = tried.is_empty();
            tried.push(guard.index());
            let result = if is_first && call.hedged && switches.hedging {
                let hedged = hedged::send(self, endpoints, guard, &call, context).await;
                tried.extend(hedged.second);
                hedged.result
            } else {
                let which = Try::number(tried.len() as u32);
                attempt::send(self, guard, &call, context, which).await
            };
            let outcome = match &result {
                Ok((_, outcome)) | Err(Failed { outcome, .. }) => *outcome,
            };
            let never_sent = matches!(
                outcome,
                Outcome::Retryable {
                    reason: RetryReason::Connect,
                    ..
                }
            );
            let again = switches.retries.then(|| {
                endpoints.may_retry(&retries, |draw| Tried {
                    attempt: tried.len() as u32,
                    outcome,
                    repeatable: call.may_repeat() || never_sent,
                    deadline: context.deadline,
                    now: self.now(),
                    draw,
                })
            });
            if let Some(Ok(wait)) = again {
                self.metrics().record(|| {
                    counter!(names::RETRIES, "server_address" => peer.name()).increment(1);
                });
                tokio::time::sleep(wait).await;
                continue;
            }
            return match result {
                Ok((_, Outcome::Shed)) => Err(CallError::Shed(peer)),
                Ok((answer, _)) => Ok(answer),
                Err(failed) => Err(failed.error),
            };
        }
    }
}
