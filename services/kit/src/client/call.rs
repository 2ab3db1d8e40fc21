//! [`Kit::call`]: attempts, retries and what is left of the time.

use metrics::counter;
use shop_contract::Role;
use shop_resilience::{Deadline, Outcome, RetryPolicy, RetryReason, Tried};

use super::attempt::{self, Failed, Try};
use super::{Answer, Call, CallError, hedged};
use crate::Kit;
use crate::context::Context;
use crate::telemetry::names;

impl Kit {
    /// Calls a peer. Any HTTP answer is `Ok`, also 4xx and, once tries are used up, 5xx.
    ///
    /// # Errors
    /// No answer: see [`CallError`].
    pub async fn call(
        &self,
        peer: Role,
        call: Call,
        context: &Context,
    ) -> Result<Answer, CallError> {
        let endpoints = self.peers().of(peer).ok_or(CallError::NoAddress(peer))?;
        let switches = self.config().resilience;
        let retries = RetryPolicy::default();
        // One place for the whole call: its tries and the waits between them all hold what its own caller waits for.
        let _inside = if switches.bulkheads {
            let limit = self.limiter().limit();
            let inside = endpoints.room().enter(context.priority, limit);
            Some(inside.ok_or(CallError::Bulkhead(peer))?)
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
            let turn = endpoints
                .pick(now, &tried, switches.breakers)
                .ok_or(CallError::Open(peer))?;
            let is_first = tried.is_empty();
            tried.push(turn.index());
            let result = if is_first && call.hedged && switches.hedging {
                let hedged = hedged::send(self, peer, endpoints, turn, &call, context).await;
                tried.extend(hedged.second);
                hedged.result
            } else {
                let which = Try::number(tried.len() as u32);
                attempt::send(self, peer, turn, &call, context, which).await
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
                    repeatable: call.repeatable || never_sent,
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
