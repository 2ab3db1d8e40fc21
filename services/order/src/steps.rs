//! The calls of the saga: each step's request, and how its answer is read.

use std::time::Duration;

use shop_contract::Role;
use shop_contract::inventory::{NewReservation, Quantity};
use shop_contract::payment::{NewPayment, Payment, PaymentStatus};
use shop_kit::Kit;
use shop_kit::client::{Answer, Call, CallError};
use shop_kit::context::Context;
use shop_resilience::{Deadline, Priority};

use crate::order::OrderState;
use crate::saga::{Step, StepOutcome};

/// How long one step may take, all tries together. Not the shopper's time: an order goes on when its shopper is gone.
const STEP: Duration = Duration::from_secs(5);
/// Payment waits for the bank, and needs the longest.
const PAYMENT_PER_TRY: Duration = Duration::from_secs(4);

/// Asks another service for a step.
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
    let call = Call::post("/reservations", "/reservations", &body)?.repeatable();
    Ok(outcome_of(&ask(kit, Role::Inventory, call).await?))
}

async fn charge(kit: &Kit, order: &OrderState) -> Result<StepOutcome, CallError> {
    let body = NewPayment {
        order_id: order.id().to_owned(),
        user_id: order.placed.user_id.clone(),
        amount: order.placed.total.clone(),
        card: order.placed.card.clone(),
    };
    let call = Call::post("/payments", "/payments", &body)?
        .key(order.id())
        .per_try(PAYMENT_PER_TRY);
    let answer = ask(kit, Role::Payment, call).await?;
    if answer.status.is_success() {
        let payment: Payment = answer.json()?;
        // Given back already: then this order is not paid, whoever gave it back.
        Ok(match payment.status {
            PaymentStatus::Captured => StepOutcome::Paid(payment.id),
            _ => StepOutcome::Unknown,
        })
    } else {
        Ok(outcome_of(&answer))
    }
}

async fn commit(kit: &Kit, order: &OrderState) -> Result<StepOutcome, CallError> {
    let path = format!("/reservations/{}/commit", order.id());
    let call = Call::post("/reservations/{id}/commit", path, &())?.repeatable();
    Ok(outcome_of(&ask(kit, Role::Inventory, call).await?))
}

async fn release(kit: &Kit, order: &OrderState) -> Result<StepOutcome, CallError> {
    let path = format!("/reservations/{}", order.id());
    let call = Call::new(http::Method::DELETE, "/reservations/{id}", path);
    Ok(outcome_of(&ask(kit, Role::Inventory, call).await?))
}

async fn refund(kit: &Kit, payment_id: &str) -> Result<StepOutcome, CallError> {
    let path = format!("/payments/{payment_id}/refund");
    let call = Call::post("/payments/{id}/refund", path, &())?
        .repeatable()
        .per_try(PAYMENT_PER_TRY);
    Ok(outcome_of(&ask(kit, Role::Payment, call).await?))
}

async fn ask(kit: &Kit, peer: Role, call: Call) -> Result<Answer, CallError> {
    let context = Context {
        deadline: kit
            .config()
            .resilience
            .deadlines
            .then(|| Deadline::after(kit.now(), STEP)),
        priority: Priority::Critical,
        authorization: None,
    };
    kit.call(peer, call, &context).await
}

/// Only a clear yes or a clear no counts. A problem of business is a no; a 404 or a 400 may be a mistake of a version
/// that is being rolled out, and must not turn a paid order round.
fn outcome_of(answer: &Answer) -> StepOutcome {
    if answer.status.is_success() {
        return StepOutcome::Done;
    }
    match (answer.status.as_u16(), answer.problem()) {
        (402 | 409 | 422, Some(reason)) => StepOutcome::Refused(reason),
        _ => StepOutcome::Unknown,
    }
}
