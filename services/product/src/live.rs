//! The call to inventory for a page's stock. [`availability`](crate::availability) decides what the page makes of it.

use std::time::Duration;

use metrics::counter;
use shop_contract::operation::inventory;
use shop_kit::Kit;
use shop_kit::client::Call;
use shop_kit::context::Context;
use shop_kit::problem::ApiError;
use shop_kit::telemetry::names;
use shop_resilience::Deadline;

use crate::availability::{Reason, StockReply, read_reply};

/// The longest wait for inventory, all tries together. People notice a page that takes a fifth of a second longer;
/// hardly anybody notices a missing number of pieces.
const WAIT: Duration = Duration::from_millis(150);
/// How long one try may take. It is less than [`WAIT`]: the client stack counts a timeout against a replica only if the
/// replica had all the time of a try. Otherwise the breaker would never open, and every page would wait in vain.
const PER_TRY: Duration = Duration::from_millis(120);

/// The stock of a product, as far as inventory answers in time.
///
/// # Errors
/// None, unless fallbacks are switched off: then a page without a stock fails.
pub async fn ask(kit: &Kit, product_id: &str, context: &Context) -> Result<StockReply, ApiError> {
    let call = Call::to(&inventory::STOCK).path(product_id).unhedged();
    if !kit.config().resilience.fallbacks {
        return Ok(match read_reply(Ok(kit.call(call, context).await?)) {
            StockReply::Missing(_) => {
                return Err(ApiError::unavailable(
                    "no-stock",
                    "inventory gives no figure",
                ));
            }
            known => known,
        });
    }
    let wait = Deadline::after(kit.now(), WAIT);
    let context = Context {
        // A limit of its own, so that it also holds where the shop runs without deadlines.
        deadline: Some(context.deadline.map_or(wait, |d| d.min(wait))),
        ..context.clone()
    };
    let reply = read_reply(kit.call(call.per_try(PER_TRY), &context).await);
    if let StockReply::Missing(reason) = reply {
        count(kit, reason, 1);
    }
    Ok(reply)
}

/// Sets every reason to zero, so that a rate over the first one is not lost.
pub fn declare(kit: &Kit) {
    for reason in Reason::ALL {
        count(kit, reason, 0);
    }
}

fn count(kit: &Kit, reason: Reason, by: u64) {
    kit.metrics()
        .record(|| counter!(names::DEGRADED, "reason" => reason.name()).increment(by));
}
