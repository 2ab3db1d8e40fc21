//! The first try of a read, and a second one beside it when the first is slow.
//!
//! The first good answer wins. The other try is dropped: its connection ends, and its breaker does not count it. Only a
//! call's first try is hedged; later ones are additional load already.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use shop_resilience::{Moment, Outcome};

use super::attempt::{self, Answered, Try};
use super::call::Call;
use super::peer::{AttemptGuard, Peer};
use crate::Kit;
use crate::context::Context;
use crate::telemetry::names;

/// The result, and the replica that got the second request.
pub(super) struct Hedged {
    pub(super) result: Answered,
    pub(super) second: Option<usize>,
}

pub(super) async fn send(
    kit: &Kit,
    endpoints: &Arc<Peer>,
    guard: AttemptGuard,
    call: &Call,
    context: &Context,
) -> Hedged {
    let reads = Reads {
        kit,
        endpoints,
        template: call.template(),
        began: kit.now(),
        replica: guard.index(),
    };
    // A probe decides about its replica, so it has to run to its end.
    let patience = match guard.is_probe() {
        true => None,
        false => endpoints.patience(reads.began, call.template()),
    };
    let mut first = pin!(attempt::send(kit, guard, call, context, Try::FIRST));
    let early = match patience {
        Some(patience) => tokio::time::timeout(patience, &mut first).await.ok(),
        None => Some(first.as_mut().await),
    };
    if let Some(result) = early {
        reads.answered(&result);
        return Hedged {
            result,
            second: None,
        };
    }
    let breakers = kit.config().resilience.breakers;
    let Some(guard) = endpoints.hedge(kit.now(), reads.replica, breakers, context.deadline) else {
        let result = first.await;
        reads.answered(&result);
        return Hedged {
            result,
            second: None,
        };
    };
    let second = Some(guard.index());
    let mut hedge = pin!(attempt::send(kit, guard, call, context, Try::HEDGE));
    let (won, result) = tokio::select! {
        one = &mut first => {
            reads.answered(&one);
            if is_good(&one) {
                (false, one)
            } else {
                let two = hedge.await;
                if is_good(&two) { (true, two) } else { (false, one) }
            }
        }
        two = &mut hedge => {
            if is_good(&two) {
                reads.given_up();
                (true, two)
            } else {
                let one = first.await;
                reads.answered(&one);
                (false, one)
            }
        }
    };
    let outcome = if won { "won" } else { "lost" };
    kit.metrics().record(|| {
        counter!(names::HEDGES, "server_address" => call.peer().name(), "outcome" => outcome)
            .increment(1);
    });
    Hedged { result, second }
}

/// Whether it settles the call: an answer, or a refusal because of the request itself.
fn is_good(result: &Answered) -> bool {
    matches!(result, Ok((_, Outcome::Success | Outcome::Rejected)))
}

/// Reports how long the first try of a read took, for the hedging delay of its kind.
struct Reads<'a> {
    kit: &'a Kit,
    endpoints: &'a Arc<Peer>,
    template: &'static str,
    began: Moment,
    replica: usize,
}

impl Reads<'_> {
    /// Failures are not reported: how quickly a try fails says nothing about how long an answer takes.
    fn answered(&self, result: &Answered) {
        if is_good(result) {
            let now = self.kit.now();
            self.endpoints.observe(now, self.template, self.so_far(now));
        }
    }

    fn given_up(&self) {
        let now = self.kit.now();
        let so_far = self.so_far(now);
        self.endpoints.observe(now, self.template, so_far);
        self.endpoints.outlasted(self.replica, now, so_far);
    }

    fn so_far(&self, now: Moment) -> Duration {
        now.since(self.began)
    }
}
