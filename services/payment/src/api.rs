//! The payment service's handlers, and its calls to the bank.

use axum::extract::{FromRef, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Json, Router};
use shop_contract::Role;
use shop_contract::bank::{Charge, NewCharge, is_card_token};
use shop_contract::operation::{bank, payment as operations};
use shop_contract::payment::{NewPayment, Payment, PaymentStatus};
use shop_kit::Kit;
use shop_kit::auth::{Caller, Service, idempotency_key};
use shop_kit::client::{Call, CallError};
use shop_kit::context::Context;
use shop_kit::openapi::Routes;
use shop_kit::problem::{ApiError, Body, Path};
use shop_kit::server;

use crate::payment::{BankReply, check};
use crate::store::{PaymentRecord, Payments};

#[derive(Clone)]
struct App {
    kit: Kit,
    payments: Payments,
}

impl FromRef<App> for Kit {
    fn from_ref(app: &App) -> Kit {
        app.kit.clone()
    }
}

/// The API, with the server stack around it.
pub fn router(kit: &Kit, payments: Payments) -> Router {
    let app = App {
        kit: kit.clone(),
        payments,
    };
    let routes = Routes::of(Role::Payment, app)
        .on(&operations::PAY, pay)
        .on(&operations::REFUND, refund)
        .on(&operations::SHOW, show)
        .finish();
    server::stack(kit, routes)
}

async fn pay(
    State(app): State<App>,
    _: Service,
    context: Context,
    headers: HeaderMap,
    Body(new): Body<NewPayment>,
) -> Result<(StatusCode, Json<Payment>), ApiError> {
    let key = idempotency_key(&headers)?;
    check(&new).map_err(ApiError::invalid)?;
    if !is_card_token(&new.card) {
        return Err(ApiError::invalid(
            "`card` must be the bank's token for a card",
        ));
    }
    let record = app.payments.begin(key, &new).await?;
    if record.payment.order_id != new.order_id || record.payment.amount != new.amount {
        return Err(key_reused());
    }
    let record = match record.payment.status {
        PaymentStatus::Pending => charge(&app, &context, record).await?,
        _ => record,
    };
    match record.payment.status {
        PaymentStatus::Captured | PaymentStatus::Refunded => {
            Ok((StatusCode::CREATED, Json(record.payment)))
        }
        PaymentStatus::Declined => Err(ApiError::new(
            StatusCode::PAYMENT_REQUIRED,
            "card-declined",
            "The bank declined the card",
        )
        .order(&record.payment.order_id)),
        PaymentStatus::Pending => Err(bank_unavailable("the bank's answer is not known yet")),
    }
}

/// Charges at the bank under the payment's id, also repeatedly.
async fn charge(
    app: &App,
    context: &Context,
    record: PaymentRecord,
) -> Result<PaymentRecord, ApiError> {
    let Payment { id, amount, .. } = record.payment.clone();
    let body = NewCharge {
        amount,
        card: record.card.clone(),
        reference: id.clone(),
    };
    let call = Call::to(&bank::CHARGE).key(&id).json(&body)?;
    let answer = app.kit.call(call, context).await.map_err(no_answer)?;
    let charge: Option<Charge> = answer.json().ok();
    let reply = BankReply::of_answer(
        answer.status.as_u16(),
        charge.as_ref().map(|c| c.status),
        answer.problem().as_deref(),
    );
    let Some(to) = reply.settles() else {
        return Err(bank_unavailable(format!(
            "the bank answered {}",
            answer.status
        )));
    };
    let charge_id = charge.map(|c| c.id);
    let settled = app
        .payments
        .settle(&id, PaymentStatus::Pending, to, charge_id.as_deref())
        .await?;
    settled.ok_or_else(|| ApiError::internal("a payment vanished while it was settled"))
}

async fn refund(
    State(app): State<App>,
    _: Service,
    context: Context,
    Path(id): Path,
) -> Result<Json<Payment>, ApiError> {
    let record = app.payments.find(&id).await?;
    let record = record.ok_or_else(|| ApiError::not_found("payment"))?;
    match (record.payment.status, &record.charge_id) {
        (PaymentStatus::Refunded, _) => return Ok(Json(record.payment)),
        (PaymentStatus::Captured, Some(charge_id)) => {
            let call = Call::to(&bank::REFUND).path(charge_id).json(&())?;
            let answer = app.kit.call(call, &context).await.map_err(no_answer)?;
            if !answer.status.is_success() {
                return Err(bank_unavailable(format!(
                    "the bank answered {}",
                    answer.status
                )));
            }
        }
        (status, _) => {
            return Err(ApiError::new(
                StatusCode::CONFLICT,
                "not-captured",
                "Nothing was taken that could be given back",
            )
            .detail(format!("the payment is {}", status.name())));
        }
    }
    let settled = app
        .payments
        .settle(&id, PaymentStatus::Captured, PaymentStatus::Refunded, None)
        .await?;
    settled
        .map(|k| Json(k.payment))
        .ok_or_else(|| ApiError::internal("a payment vanished while it was refunded"))
}

async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path,
) -> Result<Json<Payment>, ApiError> {
    let record = app.payments.find(&id).await?;
    let record = record.ok_or_else(|| ApiError::not_found("payment"))?;
    caller.owns(&record.user_id, "payment")?;
    Ok(Json(record.payment))
}

/// A refusal because of overload stays marked as such, so that it is not retried.
fn no_answer(e: CallError) -> ApiError {
    match e {
        CallError::Shed(_) | CallError::Bulkhead(_) => e.into(),
        other => bank_unavailable(other.to_string()),
    }
}

fn bank_unavailable(detail: impl Into<String>) -> ApiError {
    ApiError::unavailable("bank-unavailable", detail)
}

fn key_reused() -> ApiError {
    ApiError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "key-reused",
        "This idempotency key stood for something else",
    )
}
