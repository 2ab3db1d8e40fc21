//! Drives one session: the shopper decides, the connection sends, the statistics count.

use std::time::Duration;

use crate::client::Connection;
use crate::plan::Session;
use crate::request::Failure;
use crate::shopper::{Next, Shopper};
use crate::stats::Timing;
use crate::step::Step;
use crate::worker_context::WorkerContext;

/// The load was stopped in the middle of a step.
struct Stopped;

/// Runs a session from its arrival to its end, or to the end of the load.
pub(crate) async fn run(context: &WorkerContext, session: Session) {
    let config = &context.config;
    let key_base = format!(
        "{}{:x}-{}",
        config.key_prefix,
        config.plan.seed(),
        session.index
    );
    let mut active = ActiveSession {
        context,
        shopper: Shopper::new(session.persona, session.choices, key_base),
        connection: Connection::new(&config.target),
    };
    // The start of the next think time: the arrival, then the latest reply.
    let mut last = session.at;
    for planned in session.walk {
        let intended = last + planned.think;
        if intended >= context.end || !context.until(intended).await {
            return;
        }
        match active.take(planned.step, intended).await {
            Ok(Some(done)) => last = done,
            Ok(None) | Err(Stopped) => return,
        }
    }
}

struct ActiveSession<'c> {
    context: &'c WorkerContext,
    shopper: Shopper,
    connection: Connection<'c>,
}

impl ActiveSession<'_> {
    /// Takes a step of the walk, after authentication if it needs that. Returns the instant of its end, or `None` if
    /// the load ended during authentication.
    async fn take(&mut self, step: Step, intended: Duration) -> Result<Option<Duration>, Stopped> {
        let Some(authentication) = self.shopper.authentication_for(step) else {
            let begin = |s: &mut Shopper| s.begin(step);
            return self.time(step, intended, begin).await.map(Some);
        };
        // There is no think time after authentication: the step is due as soon as it is over.
        let begin = |s: &mut Shopper| s.begin_authentication(authentication);
        let intended = self.time(authentication.step(), intended, begin).await?;
        if intended >= self.context.end {
            return Ok(None);
        }
        let failed = self.shopper.authentication_for(step).is_some();
        let begin = |s: &mut Shopper| match failed {
            true => Next::Done(Err(Failure::NoSession)),
            false => s.begin(step),
        };
        self.time(step, intended, begin).await.map(Some)
    }

    /// Takes one step that is due, and counts it. Returns the instant of its end.
    async fn time(
        &mut self,
        step: Step,
        intended: Duration,
        begin: impl FnOnce(&mut Shopper) -> Next,
    ) -> Result<Duration, Stopped> {
        let context = self.context;
        let sent = context.now();
        context.sent(sent.saturating_sub(intended));
        let next = begin(&mut self.shopper);
        let outcome = self.exchange(next).await;
        let done = context.now();
        let result = match outcome {
            Ok(result) => result,
            // Cut short by a signal: neither a success nor a failure, so it is not counted.
            Err(Stopped) if context.config.halt.is_cancelled() => return Err(Stopped),
            Err(Stopped) => Err(Failure::Timeout),
        };
        let timing = Timing {
            intended,
            sent,
            done,
        };
        let phase = context.config.plan.load().phase_index(intended);
        context.record(phase, step, timing, result);
        Ok(done)
    }

    /// Sends requests until the step is over.
    async fn exchange(&mut self, mut next: Next) -> Result<Result<(), Failure>, Stopped> {
        let context = self.context;
        let timeout = context.config.plan.load().timeout;
        loop {
            let request = match next {
                Next::Send(request) => request,
                Next::Done(result) => return Ok(result),
            };
            let sending = self.connection.send(&request, timeout);
            let reply = context.stop.run_until_cancelled(sending).await;
            let t_s = context.now().as_secs_f64();
            let Some(reply) = reply else {
                if let Some(entry) = self.shopper.abandon(t_s) {
                    context.report_order(entry);
                }
                return Err(Stopped);
            };
            let (then, entry) = self.shopper.reply(reply, t_s);
            if let Some(entry) = entry {
                context.report_order(entry);
            }
            next = then;
        }
    }
}
