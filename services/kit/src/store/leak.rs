//! The leak of a leaked-connections fault: connections that are held and never used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::pool::Pool;

/// Between two attempts at a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Takes connections of a pool as they become free, until `left` are left, and holds them until `ended`. `taken` is set
/// while it holds any.
pub(super) async fn hold(pool: Pool, left: u32, taken: Arc<AtomicBool>, ended: CancellationToken) {
    let wanted = pool.max().saturating_sub(left);
    let mut held = Vec::new();
    let taking = async {
        while (held.len() as u32) < wanted {
            match pool.inner.acquire().await {
                Ok(connection) => {
                    held.push(connection);
                    taken.store(true, Ordering::Relaxed);
                }
                Err(sqlx::Error::PoolClosed) => return,
                // All are in use; one will come back.
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        ended.cancelled().await;
    };
    ended.run_until_cancelled(taking).await;
    taken.store(false, Ordering::Relaxed);
    drop(held);
}
