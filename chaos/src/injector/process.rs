//! Process faults: a replica is killed, stopped, paused or slow to start, and serves again afterwards.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::injection::{CheckResult, Injection};
use crate::backend::{BoxFuture, CallerHits, Counts, ProcessAction, Processes};
use crate::error::InjectError;
use crate::fault::ProcessFault;
use crate::schedule::ScheduledFault;

/// A start can fail for a temporary reason, such as a port that is not free yet. A replica that stays down would spoil
/// all later measurements.
const ATTEMPTS: u32 = 3;
/// Between two attempts.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// How long after the fault's end the backend resumes a paused replica by itself.
const PAUSE_MARGIN: Duration = Duration::from_secs(2);

/// A fault of one replica's process.
pub(super) struct ProcessInjection {
    scheduled: Arc<ScheduledFault>,
    fault: ProcessFault,
    replica: u32,
    processes: Arc<dyn Processes>,
    callers: Arc<dyn CallerHits>,
    clock: Clock,
    end: CancellationToken,
    /// Attempts counted before the fault.
    before: Option<Counts>,
    /// Attempts counted at the fault's end.
    at_end: Option<Counts>,
    /// The running start of [`ProcessFault::SlowStart`].
    starting: Option<JoinHandle<Result<Option<u32>, InjectError>>>,
}

impl ProcessInjection {
    pub(super) fn new(
        scheduled: Arc<ScheduledFault>,
        fault: ProcessFault,
        processes: Arc<dyn Processes>,
        callers: Arc<dyn CallerHits>,
        clock: Clock,
        end: CancellationToken,
    ) -> Self {
        Self {
            // A scenario must name the replica if the role has several.
            replica: scheduled.fault.target.replica.unwrap_or(0),
            scheduled,
            fault,
            processes,
            callers,
            clock,
            end,
            before: None,
            at_end: None,
            starting: None,
        }
    }

    fn role(&self) -> &str {
        &self.scheduled.fault.target.role
    }

    fn remaining(&self) -> Duration {
        self.scheduled
            .window
            .to
            .saturating_sub(self.clock.elapsed())
    }

    fn act(&self, action: ProcessAction) -> BoxFuture<'_, Result<Option<u32>, InjectError>> {
        self.processes.act(self.role(), self.replica, action)
    }

    async fn inject(&mut self) -> Result<Option<String>, InjectError> {
        if !self.is_pause() {
            self.before = self.attempts().await;
        }
        let (pid, verb) = match self.fault {
            ProcessFault::Kill { .. } => (self.act(ProcessAction::Kill).await?, "killed"),
            ProcessFault::Restart => (self.act(ProcessAction::Stop).await?, "stopped"),
            ProcessFault::Pause => {
                let at_most = self.remaining() + PAUSE_MARGIN;
                let pid = self.act(ProcessAction::Pause { at_most }).await?;
                // Earlier attempts may have been answered.
                self.before = self.attempts().await;
                (pid, "paused")
            }
            ProcessFault::SlowStart { delay } => {
                let pid = self.act(ProcessAction::Kill).await?;
                let (processes, replica) = (self.processes.clone(), self.replica);
                let role = self.role().to_owned();
                self.starting = Some(tokio::spawn(async move {
                    let start = ProcessAction::Start { delay };
                    processes.act(&role, replica, start).await
                }));
                (pid, "killed")
            }
        };
        Ok(Some(format!("{verb} pid {}", pid.unwrap_or_default())))
    }

    async fn count_hits(&self) -> CheckResult {
        let after = tokio::select! {
            biased;
            () = self.end.cancelled() => None,
            count = self.attempts() => count,
        };
        CheckResult {
            hits: self.hits_until(after.as_ref()),
            ..CheckResult::default()
        }
    }

    async fn undo(&mut self) -> Option<String> {
        if self.is_pause() {
            self.at_end = self.attempts().await;
            return self.resume().await;
        }
        if let Some(starting) = self.starting.take() {
            if self.remaining().is_zero() {
                if matches!(starting.await, Ok(Ok(_))) {
                    return None;
                }
            } else {
                starting.abort();
            }
            // The slow start is still waiting, or has failed. Once dead, the replica can be started as usual. An error
            // means that it is dead already.
            let _ = self.act(ProcessAction::Kill).await;
        }
        self.start().await
    }

    async fn start(&self) -> Option<String> {
        let delay = Duration::ZERO;
        let start = || self.act(ProcessAction::Start { delay });
        let error = retry(start).await.err()?;
        Some(format!(
            "not started again after {ATTEMPTS} attempts: {error}"
        ))
    }

    async fn resume(&self) -> Option<String> {
        let resume = || self.act(ProcessAction::Resume);
        let error = retry(resume).await.err()?;
        Some(format!("not resumed after {ATTEMPTS} attempts: {error}"))
    }

    fn is_pause(&self) -> bool {
        matches!(self.fault, ProcessFault::Pause)
    }

    /// Failed attempts; for a pause all attempts, since each has to wait.
    async fn attempts(&self) -> Option<Counts> {
        let (role, replica) = (self.role(), self.replica);
        if self.is_pause() {
            self.callers.attempts(role, replica).await
        } else {
            self.callers.failed_attempts(role, replica).await
        }
    }

    fn hits_until(&self, after: Option<&Counts>) -> Option<u64> {
        difference(self.before.as_ref()?, after?)
    }
}

/// The attempts between two counts, summed over the callers in both. A caller that is missing in one of them is left
/// out, since its total would count as hits. A caller that restarted in between counts from 0. `None` when no caller is
/// in both.
fn difference(before: &Counts, after: &Counts) -> Option<u64> {
    let both = after
        .iter()
        .filter_map(|(caller, now)| Some((*before.get(caller)?, *now)));
    let new = both.map(|(then, now)| now.checked_sub(then).unwrap_or(now));
    new.reduce(|a, b| a + b)
}

/// Repeats `action` until it succeeds, at most [`ATTEMPTS`] times. Returns the last error.
async fn retry<F, T>(mut action: impl FnMut() -> F) -> Result<T, InjectError>
where
    F: Future<Output = Result<T, InjectError>>,
{
    let mut attempt = 1;
    loop {
        match action().await {
            Err(_) if attempt < ATTEMPTS => sleep(RETRY_DELAY).await,
            result => return result,
        }
        attempt += 1;
    }
}

impl Injection for ProcessInjection {
    fn begin(&mut self) -> BoxFuture<'_, Result<Option<String>, InjectError>> {
        Box::pin(self.inject())
    }

    fn check(&mut self) -> BoxFuture<'_, CheckResult> {
        Box::pin(self.count_hits())
    }

    fn end(&mut self) -> BoxFuture<'_, Option<String>> {
        Box::pin(self.undo())
    }

    fn total_hits(&mut self) -> BoxFuture<'_, Option<u64>> {
        Box::pin(async {
            if self.at_end.is_none() && !self.is_pause() {
                self.at_end = self.attempts().await;
            }
            self.hits_until(self.at_end.as_ref())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(list: &[(&str, u64)]) -> Counts {
        list.iter()
            .map(|(name, n)| ((*name).to_owned(), *n))
            .collect()
    }

    #[test]
    fn only_callers_in_both_counts_are_compared() {
        let before = counts(&[("gateway/0", 100), ("cart/0", 7)]);
        let after = counts(&[("gateway/0", 104), ("order/0", 9_000)]);
        assert_eq!(difference(&before, &after), Some(4));
        assert_eq!(difference(&counts(&[("cart/0", 7)]), &after), None);
        // Restarted: everything that it counts now is new.
        let again = counts(&[("gateway/0", 3), ("cart/0", 7)]);
        assert_eq!(difference(&before, &again), Some(3));
    }
}
