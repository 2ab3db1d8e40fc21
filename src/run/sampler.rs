//! Asks the services once a second how their calls to each other go.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::house::House;
use crate::pages::{Ledger, callers};

use super::recorder::Recorder;

/// This much before a second's end its look is taken, so that it has come when the second is written down.
const BEFORE_THE_END: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);

/// Looks until it is dropped; the load's zero is `begins`.
pub(super) async fn sample(shop: Arc<dyn House>, recorder: Recorder, begins: Instant) {
    let mut ledger = Ledger::default();
    // What was counted while the shop opened belongs to no second.
    ledger.take(callers(&*shop).await);
    let mut ticks = interval_at(begins + SECOND - BEFORE_THE_END, SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let due = ticks.tick().await;
        let second = (due + BEFORE_THE_END - begins).as_secs_f64().round() as u64;
        recorder.callers(second, ledger.take(callers(&*shop).await));
    }
}
