//! Faults of a process: it is killed, stopped, paused or slow to start, and at the end it serves again.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Clock;
use super::injection::{Injection, Sighting};
use crate::fault::ProcessFault;
use crate::processes::{BoxFuture, CallerHits, Counts, InjectError, Processes};
use crate::schedule::Planned;

/// A start can fail for a reason that passes, such as a port that is not free yet. A shop that stays without a
/// replica would spoil all that is measured afterwards.
const ATTEMPTS: u32 = 3;
/// Between two attempts.
const BETWEEN: Duration = Duration::from_millis(500);
/// A paused replica goes on by itself this long after it should have been resumed.
const OVERTIME: Duration = Duration::from_secs(2);

/// What happens to one replica.
pub(super) struct OfProcess {
    planned: Arc<Planned>,
    fault: ProcessFault,
    replica: u32,
    processes: Arc<dyn Processes>,
    callers: Arc<dyn CallerHits>,
    clock: Clock,
    over: CancellationToken,
    /// Attempts before it, which are not its doing.
    before: Option<Counts>,
    /// Attempts at its end, where what comes after it is not its doing either.
    at_end: Option<Counts>,
    /// A start that is under way: only of one that is slow on purpose.
    starting: Option<JoinHandle<Result<(), InjectError>>>,
}

impl OfProcess {
    pub(super) fn new(
        planned: Arc<Planned>,
        fault: ProcessFault,
        processes: Arc<dyn Processes>,
        callers: Arc<dyn CallerHits>,
        clock: Clock,
        over: CancellationToken,
    ) -> Self {
        Self {
            // A scenario names the replica wherever there is more than one.
            replica: planned.fault.target.replica.unwrap_or(0),
            planned,
            fault,
            processes,
            callers,
            clock,
            over,
            before: None,
            at_end: None,
            starting: None,
        }
    }

    fn role(&self) -> &str {
        &self.planned.fault.target.role
    }

    /// How much of the fault's time is left.
    fn remaining(&self) -> Duration {
        self.planned.window.to.saturating_sub(self.clock.elapsed())
    }

    async fn strike(&mut self) -> Result<Option<String>, InjectError> {
        if !self.is_pause() {
            self.before = self.attempts().await;
        }
        let (processes, replica) = (self.processes.clone(), self.replica);
        let (struck, how) = match self.fault {
            ProcessFault::Kill { .. } => (processes.kill(self.role(), replica).await?, "killed"),
            ProcessFault::Restart => (processes.stop(self.role(), replica).await?, "stopped"),
            ProcessFault::Pause => {
                let most = self.remaining() + OVERTIME;
                let struck = processes.pause(self.role(), replica, most).await?;
                // Whoever came earlier may have had an answer.
                self.before = self.attempts().await;
                (struck, "paused")
            }
            ProcessFault::SlowStart { delay } => {
                let struck = processes.kill(self.role(), replica).await?;
                let role = self.role().to_owned();
                self.starting = Some(tokio::spawn(async move {
                    processes.restart(&role, replica, delay).await
                }));
                (struck, "killed")
            }
        };
        Ok(Some(format!("{how} pid {}", struck.pid)))
    }

    async fn count(&self) -> Sighting {
        let after = tokio::select! {
            biased;
            () = self.over.cancelled() => None,
            count = self.attempts() => count,
        };
        Sighting {
            hits: self.since_begin(after.as_ref()),
            ..Sighting::default()
        }
    }

    async fn mend(&mut self) -> Option<String> {
        if self.is_pause() {
            self.at_end = self.attempts().await;
            return self.go_on().await;
        }
        if let Some(starting) = self.starting.take() {
            if self.remaining().is_zero() {
                if matches!(starting.await, Ok(Ok(()))) {
                    return None;
                }
            } else {
                starting.abort();
            }
            // It is still waiting, or did not come up: dead, it can be started as always. One that is dead already
            // says so, and is started as well.
            let _ = self.processes.kill(self.role(), self.replica).await;
        }
        self.start().await
    }

    async fn start(&self) -> Option<String> {
        let start = || {
            self.processes
                .restart(self.role(), self.replica, Duration::ZERO)
        };
        let error = repeat(start).await.err()?;
        Some(format!(
            "not started again after {ATTEMPTS} attempts: {error}"
        ))
    }

    async fn go_on(&self) -> Option<String> {
        let resume = || self.processes.resume(self.role(), self.replica);
        let error = repeat(resume).await.err()?;
        Some(format!("not resumed after {ATTEMPTS} attempts: {error}"))
    }

    fn is_pause(&self) -> bool {
        matches!(self.fault, ProcessFault::Pause)
    }

    /// Those that have failed; or all, where every one that comes has to wait.
    async fn attempts(&self) -> Option<Counts> {
        let (role, replica) = (self.role(), self.replica);
        if self.is_pause() {
            self.callers.attempts(role, replica).await
        } else {
            self.callers.failed_attempts(role, replica).await
        }
    }

    fn since_begin(&self, after: Option<&Counts>) -> Option<u64> {
        difference(self.before.as_ref()?, after?)
    }
}

/// What was counted between two looks, caller by caller: whoever was silent at one of them has nothing to compare, and
/// its whole history would be hits. One that was started again meanwhile counts from 0. `None` when nobody was heard twice.
fn difference(before: &Counts, after: &Counts) -> Option<u64> {
    let both = after
        .iter()
        .filter_map(|(caller, now)| Some((*before.get(caller)?, *now)));
    let new = both.map(|(then, now)| now.checked_sub(then).unwrap_or(now));
    new.reduce(|a, b| a + b)
}

/// Does something until it succeeds, or gives its last error.
async fn repeat<F>(mut act: impl FnMut() -> F) -> Result<(), InjectError>
where
    F: Future<Output = Result<(), InjectError>>,
{
    let mut attempt = 1;
    loop {
        match act().await {
            Err(_) if attempt < ATTEMPTS => sleep(BETWEEN).await,
            done => return done,
        }
        attempt += 1;
    }
}

impl Injection for OfProcess {
    fn begin(&mut self) -> BoxFuture<'_, Result<Option<String>, InjectError>> {
        Box::pin(self.strike())
    }

    fn look(&mut self) -> BoxFuture<'_, Sighting> {
        Box::pin(self.count())
    }

    fn end(&mut self) -> BoxFuture<'_, Option<String>> {
        Box::pin(self.mend())
    }

    fn total(&mut self) -> BoxFuture<'_, Option<u64>> {
        Box::pin(async {
            if self.at_end.is_none() && !self.is_pause() {
                self.at_end = self.attempts().await;
            }
            self.since_begin(self.at_end.as_ref())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(told: &[(&str, u64)]) -> Counts {
        told.iter()
            .map(|(name, n)| ((*name).to_owned(), *n))
            .collect()
    }

    #[test]
    fn only_callers_that_were_heard_twice_are_compared() {
        let before = counts(&[("gateway/0", 100), ("cart/0", 7)]);
        let after = counts(&[("gateway/0", 104), ("order/0", 9_000)]);
        assert_eq!(difference(&before, &after), Some(4));
        assert_eq!(difference(&counts(&[("cart/0", 7)]), &after), None);
        // Started again: what it counts now is all new.
        let again = counts(&[("gateway/0", 3), ("cart/0", 7)]);
        assert_eq!(difference(&before, &again), Some(3));
    }
}
