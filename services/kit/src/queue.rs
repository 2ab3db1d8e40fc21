//! Work that lies in a table: looked for, begun, done beside each other, and left lying at the end.
//!
//! Whoever takes a row takes it for the time of a lease, so what is left lying is found again, by this replica or by
//! another. Which rows those are, and what is done about one, is the [`Queue`]'s own.

use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::store::StoreError;

/// Without a wake-up, how often the table is looked at: for rows whose wait is over, and those of a replica that died.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long what is under way has to finish once the service is to stop. Shorter than the service's own patience.
const LAST: Duration = Duration::from_secs(1);

/// What has been begun and is not known to have ended.
pub type UnderWay = JoinSet<Result<(), StoreError>>;

/// A table with work in it.
pub trait Queue: Sync {
    /// What is done, for the log: `deliveries`.
    const WHAT: &'static str;

    /// Begins what there is to do, as far as there is room. Gives whether there may be more to begin at once.
    fn begin(
        &self,
        under_way: &mut UnderWay,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Resolves when something was added.
    fn woken(&self) -> impl Future<Output = ()> + Send;
}

/// Does what comes into a queue until told to stop.
pub async fn work<Q: Queue>(queue: &Q, shutdown: &CancellationToken) {
    // What is begun is not waited for: what hangs holds up nothing but its own room.
    let mut under_way = JoinSet::new();
    while !shutdown.is_cancelled() {
        match queue.begin(&mut under_way).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(e) => tracing::warn!(error = %e, "{} cannot be looked for", Q::WHAT),
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = queue.woken() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
            // Its room is free.
            Some(done) = under_way.join_next() => told::<Q>(done),
        }
        while let Some(done) = under_way.try_join_next() {
            told::<Q>(done);
        }
    }
    let end = async {
        while let Some(done) = under_way.join_next().await {
            told::<Q>(done);
        }
    };
    if tokio::time::timeout(LAST, end).await.is_err() {
        tracing::info!("{} under way were left to be made again", Q::WHAT);
    }
}

fn told<Q: Queue>(done: Result<Result<(), StoreError>, JoinError>) {
    match done {
        Ok(Ok(())) => {}
        Ok(Err(e)) => {
            tracing::warn!(error = %e, "what became of one of the {} cannot be noted; it is made again", Q::WHAT);
        }
        Err(e) => tracing::error!(error = %e, "one of the {} panicked", Q::WHAT),
    }
}
