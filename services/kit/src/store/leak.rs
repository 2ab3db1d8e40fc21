//! Connections that nobody uses and nobody gives back, on purpose.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

use super::Pool;

/// Takes connections of a pool as they become free, until `left` are left, and keeps them until `over`. `taken` says
/// whether it has any.
pub(super) async fn hold(pool: Pool, left: u32, taken: Arc<AtomicBool>, over: CancellationToken) {
    let wanted = pool.most().saturating_sub(left);
    let mut held = Vec::new();
    let taking = async {
        while (held.len() as u32) < wanted {
            // A wait that was in vain is begun anew: whoever had them all will give one back some time.
            if let Ok(connection) = pool.inner.acquire().await {
                held.push(connection);
                taken.store(true, Ordering::Relaxed);
            } else {
                tokio::task::yield_now().await;
            }
        }
        over.cancelled().await;
    };
    over.run_until_cancelled(taking).await;
    taken.store(false, Ordering::Relaxed);
    drop(held);
}
