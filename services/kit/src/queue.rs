//! Runs work that is queued in a table: polls it, runs several items at once, and stops at shutdown.
//!
//! A row is claimed for the time of a lease, so unfinished work is found again by this replica or another one. The [`Queue`]
//! defines which rows are work and what is done with them.

use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::store::StoreError;

/// How often the table is polled without a wake-up: for rows whose wait is over, and those of a dead replica.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// How long running tasks may take to finish after the shutdown signal. Shorter than the drain time of the service.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// The started tasks that have not been joined.
pub type RunningTasks = JoinSet<Result<(), StoreError>>;

/// A table with work.
pub trait Queue: Sync {
    /// The name of the work in log messages, in the plural: `deliveries`.
    const WHAT: &'static str;

    /// Starts as much work as may run at once. Returns whether more can be started immediately.
    fn start(
        &self,
        running: &mut RunningTasks,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Resolves when work was added.
    fn woken(&self) -> impl Future<Output = ()> + Send;
}

/// Runs the work of a queue until shutdown.
pub async fn work<Q: Queue>(queue: &Q, shutdown: &CancellationToken) {
    // Tasks run independently: one that hangs only occupies its own slot.
    let mut running = JoinSet::new();
    while !shutdown.is_cancelled() {
        match queue.start(&mut running).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(e) => tracing::warn!(error = %e, "{} could not be queried", Q::WHAT),
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = queue.woken() => {}
            () = tokio::time::sleep(POLL_INTERVAL) => {}
            Some(done) = running.join_next() => log_failure::<Q>(done),
        }
        while let Some(done) = running.try_join_next() {
            log_failure::<Q>(done);
        }
    }
    let end = async {
        while let Some(done) = running.join_next().await {
            log_failure::<Q>(done);
        }
    };
    if tokio::time::timeout(DRAIN_TIMEOUT, end).await.is_err() {
        tracing::info!("unfinished {} will be repeated", Q::WHAT);
    }
}

fn log_failure<Q: Queue>(done: Result<Result<(), StoreError>, JoinError>) {
    match done {
        Ok(Ok(())) => {}
        Ok(Err(e)) => {
            tracing::warn!(error = %e, "the result of one of the {} could not be stored; it will be repeated", Q::WHAT);
        }
        Err(e) => tracing::error!(error = %e, "one of the {} panicked", Q::WHAT),
    }
}
