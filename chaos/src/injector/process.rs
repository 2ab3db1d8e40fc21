//! Faults of a process: it is killed, and some time later started again.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::injection::{Injection, Sighting};
use crate::fault::Target;
use crate::processes::{BoxFuture, CallerHits, InjectError, Processes};

/// A start can fail for a reason that passes, such as a port that is not free yet. A shop that stays without a
/// replica would spoil all that is measured afterwards.
const RESTART_ATTEMPTS: u32 = 3;
/// Between two attempts.
const RESTART_PAUSE: Duration = Duration::from_millis(500);

/// The kill of one replica.
pub(super) struct Kill {
    target: Target,
    replica: u32,
    processes: Arc<dyn Processes>,
    callers: Arc<dyn CallerHits>,
    over: CancellationToken,
    /// Failed attempts before the kill, which are not its doing.
    before: Option<u64>,
}

impl Kill {
    pub(super) fn new(
        target: Target,
        processes: Arc<dyn Processes>,
        callers: Arc<dyn CallerHits>,
        over: CancellationToken,
    ) -> Self {
        Self {
            // A scenario names the replica wherever there is more than one.
            replica: target.replica.unwrap_or(0),
            target,
            processes,
            callers,
            over,
            before: None,
        }
    }

    async fn kill(&mut self) -> Result<Option<String>, InjectError> {
        self.before = self.failed_attempts().await;
        let killed = self.processes.kill(&self.target.role, self.replica).await?;
        Ok(Some(format!("killed pid {}", killed.pid)))
    }

    async fn count(&self) -> Sighting {
        let after = tokio::select! {
            biased;
            () = self.over.cancelled() => None,
            count = self.failed_attempts() => count,
        };
        Sighting {
            hits: self.since_kill(after),
            ..Sighting::default()
        }
    }

    async fn restart(&self) -> Option<String> {
        let mut attempt = 1;
        loop {
            let started = self
                .processes
                .restart(&self.target.role, self.replica)
                .await;
            match started {
                Ok(()) => return None,
                Err(error) if attempt == RESTART_ATTEMPTS => {
                    return Some(format!(
                        "not started again after {RESTART_ATTEMPTS} attempts: {error}"
                    ));
                }
                Err(_) => sleep(RESTART_PAUSE).await,
            }
            attempt += 1;
        }
    }

    async fn failed_attempts(&self) -> Option<u64> {
        self.callers
            .failed_attempts(&self.target.role, self.replica)
            .await
    }

    /// A caller that restarted meanwhile counts from 0 again: too few hits then, but never more than there were.
    fn since_kill(&self, after: Option<u64>) -> Option<u64> {
        Some(after?.saturating_sub(self.before?))
    }
}

impl Injection for Kill {
    fn begin(&mut self) -> BoxFuture<'_, Result<Option<String>, InjectError>> {
        Box::pin(self.kill())
    }

    fn look(&mut self) -> BoxFuture<'_, Sighting> {
        Box::pin(self.count())
    }

    fn end(&mut self) -> BoxFuture<'_, Option<String>> {
        Box::pin(self.restart())
    }

    fn total(&mut self) -> BoxFuture<'_, Option<u64>> {
        Box::pin(async { self.since_kill(self.failed_attempts().await) })
    }
}
