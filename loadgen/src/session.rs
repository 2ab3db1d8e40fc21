//! One session under way: the shopper decides, the connection sends, the tally counts.

use std::time::Duration;

use crate::call::Failure;
use crate::client::Connection;
use crate::plan::Session;
use crate::shopper::{Next, Shopper};
use crate::step::Step;
use crate::tally::Timing;
use crate::worker::Shared;

/// The load was stopped in the middle of a step.
struct Stopped;

/// Walks a session from its arrival to its end, or to the end of the load.
pub(crate) async fn run(shared: &Shared, session: Session) {
    let orders = &shared.orders;
    let key_base = format!(
        "{}{:x}-{}",
        orders.key_prefix,
        orders.plan.seed(),
        session.index
    );
    let mut visit = Visit {
        shared,
        shopper: Shopper::new(session.persona, session.choices, key_base),
        connection: Connection::new(&orders.target),
    };
    // What the next think time starts from: the arrival, then the latest answer.
    let mut last = session.at;
    for stride in session.walk {
        let intended = last + stride.think;
        if intended >= shared.end || !shared.until(intended).await {
            return;
        }
        match visit.take(stride.step, intended).await {
            Ok(Some(done)) => last = done,
            Ok(None) | Err(Stopped) => return,
        }
    }
}

struct Visit<'s> {
    shared: &'s Shared,
    shopper: Shopper,
    connection: Connection<'s>,
}

impl Visit<'_> {
    /// Takes a step of the walk, through a door first where it needs one. Gives the instant of its end; none when
    /// the load ended at the door.
    async fn take(&mut self, step: Step, intended: Duration) -> Result<Option<Duration>, Stopped> {
        let Some(door) = self.shopper.door(step) else {
            let begin = |s: &mut Shopper| s.begin(step);
            return self.time(step, intended, begin).await.map(Some);
        };
        // Nobody thinks between the door and the step, so the step is due when the door has opened.
        let begin = |s: &mut Shopper| s.begin_door(door);
        let intended = self.time(door.step(), intended, begin).await?;
        if intended >= self.shared.end {
            return Ok(None);
        }
        let shut = self.shopper.door(step).is_some();
        let begin = |s: &mut Shopper| match shut {
            true => Next::Done(Err(Failure::NoSession)),
            false => s.begin(step),
        };
        self.time(step, intended, begin).await.map(Some)
    }

    /// Takes one step whose instant has come, and counts it. Gives the instant of its end.
    async fn time(
        &mut self,
        step: Step,
        intended: Duration,
        begin: impl FnOnce(&mut Shopper) -> Next,
    ) -> Result<Duration, Stopped> {
        let shared = self.shared;
        let sent = shared.now();
        let lateness = sent.saturating_sub(intended);
        shared.send(lateness);
        let next = begin(&mut self.shopper);
        let outcome = self.exchange(next).await;
        let done = shared.now();
        let result = match outcome {
            Ok(result) => result,
            // Cut short by a signal: neither well nor badly answered, so it is not in the figures.
            Err(Stopped) if shared.orders.halt.is_cancelled() => return Err(Stopped),
            Err(Stopped) => Err(Failure::Timeout),
        };
        let timing = Timing {
            intended,
            sent,
            done,
        };
        let phase = shared.orders.plan.load().phase_index(intended);
        shared.record(phase, step, timing, result);
        Ok(done)
    }

    /// Makes calls until the step is over.
    async fn exchange(&mut self, mut next: Next) -> Result<Result<(), Failure>, Stopped> {
        let shared = self.shared;
        let timeout = shared.orders.plan.load().timeout;
        loop {
            let call = match next {
                Next::Send(call) => call,
                Next::Done(result) => return Ok(result),
            };
            let calling = self.connection.call(&call, timeout);
            let answer = shared.stop.run_until_cancelled(calling).await;
            let t_s = shared.now().as_secs_f64();
            let Some(answer) = answer else {
                if let Some(entry) = self.shopper.abandon(t_s) {
                    shared.ledger(entry);
                }
                return Err(Stopped);
            };
            let (then, entry) = self.shopper.answer(answer, t_s);
            if let Some(entry) = entry {
                shared.ledger(entry);
            }
            next = then;
        }
    }
}
