//! The saga's calls: the request of each step, and the meaning of its answer.

use std::time::Duration;

use shop_contract::inventory::{NewReservation, Quantity};
use shop_contract::operation::{inventory, payment};
use shop_contract::payment::{NewPayment, Payment, PaymentStatus};
use shop_kit::Kit;
use shop_kit::client::{Answer, Call, CallError};
use shop_kit::context::Context;
use shop_resilience::{Deadline, Priority};

use crate::order::OrderState;
use crate::saga::{Step, StepOutcome};

/// How long one step may take, all tries together. It is independent of the shopper's deadline: an order goes on when
/// its shopper is gone.
const STEP: Duration = Duration::from_secs(5);

/// Requests a step.
pub async fn perform(kit: &Kit, order: &OrderState, step: &Step) -> StepOutcome {
    let result = match step {
        Step::Reserve => reserve(kit, order).await,
        Step::Charge => charge(kit, order).await,
        Step::Commit => commit(kit, order).await,
        Step::Refund { payment_id } => refund(kit, payment_id).await,
        Step::Release => release(kit, order).await,
    };
    result.unwrap_or_else(|e| {
        tracing::info!(order_id = order.id(), step = ?step, error = %e, "a step has no answer yet");
        StepOutcome::Unknown
    })
}

async fn reserve(kit: &Kit, order: &OrderState) -> Result<StepOutcome, CallError> {
    let items = order.placed.items.iter().map(|i| Quantity {
        product_id: i.product_id.clone(),
        quantity: i.quantity,
    });
    let body = NewReservation {
        id: order.id().to_owned(),
        items: items.collect(),
    };
    let call = Call::to(&inventory::RESERVE).json(&body)?;
    Ok(outcome_of(&ask(kit, call).await?))
}

async fn charge(kit: &Kit, order: &OrderState) -> Result<StepOutcome, CallError> {
    let body = NewPayment {
        order_id: order.id().to_owned(),
        user_id: order.placed.user_id.clone(),
        amount: order.placed.total.clone(),
        card: order.placed.card.clone(),
    };
    let call = Call::to(&payment::PAY).key(order.id()).json(&body)?;
    let answer = ask(kit, call).await?;
    if answer.status.is_success() {
        let payment: Payment = answer.json()?;
        // Refunded already: then this order is not paid.
        Ok(match payment.status {
            PaymentStatus::Captured => StepOutcome::Paid(payment.id),
            _ => StepOutcome::Unknown,
        })
    } else {
        Ok(outcome_of(&answer))
    }
}

async fn commit(kit: &Kit, order: &OrderState) -> Result<StepOutcome, CallError> {
    let call = Call::to(&inventory::COMMIT).path(order.id()).json(&())?;
    Ok(outcome_of(&ask(kit, call).await?))
}

async fn release(kit: &Kit, order: &OrderState) -> Result<StepOutcome, CallError> {
    let call = Call::to(&inventory::RELEASE).path(order.id());
    Ok(outcome_of(&ask(kit, call).await?))
}

async fn refund(kit: &Kit, payment_id: &str) -> Result<StepOutcome, CallError> {
    let call = Call::to(&payment::REFUND).path(payment_id).json(&())?;
    Ok(outcome_of(&ask(kit, call).await?))
}

async fn ask(kit: &Kit, call: Call) -> Result<Answer, CallError> {
    let context = Context {
        deadline: kit
            .config()
            .resilience
            .deadlines
            .then(|| Deadline::after(kit.now(), STEP)),
        priority: Priority::Critical,
        authorization: None,
    };
    kit.call(call, &context).await
}

/// Only a clear success or refusal counts. A business problem is a refusal. A 404 or a 400 may come from a version that
/// is being rolled out, and must not cancel a paid order.
fn outcome_of(answer: &Answer) -> StepOutcome {
    if answer.status.is_success() {
        return StepOutcome::Done;
    }
    match (answer.status.as_u16(), answer.problem()) {
        (402 | 409 | 422, Some(reason)) => StepOutcome::Refused(reason),
        _ => StepOutcome::Unknown,
    }
}
