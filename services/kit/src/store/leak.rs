//! Connections that nobody uses and nobody gives back, on purpose.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Pool;

/// Between two attempts at a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Takes connections of a pool as they become free, until `left` are left, and keeps them until `over`. `taken` says
/// whether it has any.
pub(super) async fn hold(pool: Pool, left: u32, taken: Arc<AtomicBool>, over: CancellationToken) {
    let wanted = pool.most().saturating_sub(left);
    let mut held = Vec::new();
    let taking = async {
        while (held.len() as u32) < wanted {
            match pool.inner.acquire().await {
                Ok(connection) => {
                    held.push(connection);
                    taken.store(true, Ordering::Relaxed);
                }
                Err(sqlx::Error::PoolClosed) => return,
                // Whoever has them all will give one back some time.
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        over.cancelled().await;
    };
    over.run_until_cancelled(taking).await;
    taken.store(false, Ordering::Relaxed);
    drop(held);
}
