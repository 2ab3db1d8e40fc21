//! Asking inventory for a page's stock. What is made of the answer is decided in [`availability`](crate::availability).

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

/// The longest that a page waits for inventory, all tries together. People notice a page that takes a fifth of a
/// second more; hardly anybody notices that its stock is a word and not a figure.
const WAIT: Duration = Duration::from_millis(150);
/// How long one try may take. Less than [`WAIT`], since the client stack blames a replica for a timeout only when it
/// had the time that is its due, and a breaker that never learns of timeouts would let every page wait in vain.
const PER_TRY: Duration = Duration::from_millis(120);

/// How many can be reserved right now, as far as inventory says so in time.
///
/// # Errors
/// None, unless fallbacks are switched off: then a page without an answer is no page, as in a shop that never thought
/// of it.
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
        // A wait of our own, so it holds where the shop runs without deadlines too.
        deadline: Some(context.deadline.map_or(wait, |d| d.min(wait))),
        ..context.clone()
    };
    let reply = read_reply(kit.call(call.per_try(PER_TRY), &context).await);
    if let StockReply::Missing(reason) = reply {
        count(kit, reason, 1);
    }
    Ok(reply)
}

/// Shows every reason at zero, so that a rate over the first one is not lost.
pub fn declare(kit: &Kit) {
    for reason in Reason::ALL {
        count(kit, reason, 0);
    }
}

fn count(kit: &Kit, reason: Reason, by: u64) {
    kit.metrics()
        .record(|| counter!(names::DEGRADED, "reason" => reason.name()).increment(by));
}
