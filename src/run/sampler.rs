//! Counts the calls between services once a second.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::shop::backend::ShopBackend;
use crate::shop::metrics_pages::callers::{CallDeltas, call_counts};

use super::recorder::Recorder;

/// How long before the end of a second the services are scraped, so that the counts arrive before the second is recorded.
const SCRAPE_LEAD: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);

/// Samples until it is dropped. `start` is the start of the load.
pub(super) async fn sample(shop: Arc<dyn ShopBackend>, recorder: Recorder, start: Instant) {
    let mut deltas = CallDeltas::default();
    // Calls from before the load belong to no second.
    deltas.advance(call_counts(&*shop).await);
    let mut ticks = interval_at(start + SECOND - SCRAPE_LEAD, SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let due = ticks.tick().await;
        let second = (due + SCRAPE_LEAD - start).as_secs_f64().round() as u64;
        recorder.callers(second, deltas.advance(call_counts(&*shop).await));
    }
}
