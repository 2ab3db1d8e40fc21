//! The bank's handlers.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Json, Router};
use shop_contract::Role;
use shop_contract::bank::{Charge, ChargeStatus, NewCharge};
use shop_contract::operation::bank as operations;
use shop_kit::Kit;
use shop_kit::auth::idempotency_key;
use shop_kit::openapi::Routes;
use shop_kit::problem::{ApiError, Body, Path};
use shop_kit::server;

use crate::behavior::BankBehavior;
use crate::charge::{self, Refusal};
use crate::store::{ChargeError, Charges};

/// How long the bank holds the connection of a charge that it never answers.
const SILENCE: Duration = Duration::from_secs(60);

#[derive(Clone)]
struct App {
    seed: u64,
    behavior: BankBehavior,
    charges: Charges,
}

/// The API, with the server stack around it.
pub fn router(kit: &Kit, charges: Charges, behavior: BankBehavior) -> Router {
    let app = App {
        seed: kit.config().seed,
        behavior,
        charges,
    };
    let routes = Routes::of(Role::Bank, app)
        .on(&operations::CHARGE, charge)
        .on(&operations::ONE, one)
        .on(&operations::REFUND, refund)
        .finish();
    server::stack(kit, routes)
}

async fn charge(
    State(app): State<App>,
    headers: HeaderMap,
    Body(new): Body<NewCharge>,
) -> Result<(StatusCode, Json<Charge>), ApiError> {
    let key = idempotency_key(&headers)?;
    let card = charge::check(&new)?;
    let status = if app.behavior.declines(app.seed, key, card) {
        ChargeStatus::Declined
    } else {
        ChargeStatus::Captured
    };
    let recorded = app.charges.record(key, &new, status).await;
    app.take_time(key).await;
    let (charge, first) = recorded?;
    if first && app.behavior.is_silent(app.seed, key) {
        // The money is taken, and no answer is sent. Callers give up long before this ends.
        tokio::time::sleep(SILENCE).await;
    }
    if charge.status == ChargeStatus::Declined {
        return Err(ApiError::new(
            StatusCode::PAYMENT_REQUIRED,
            "card-declined",
            "The card was declined",
        ));
    }
    let status = if first {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(charge)))
}

async fn one(State(app): State<App>, Path(id): Path) -> Result<Json<Charge>, ApiError> {
    Ok(Json(app.charges.by_id(&id).await?))
}

async fn refund(State(app): State<App>, Path(id): Path) -> Result<Json<Charge>, ApiError> {
    let refunded = app.charges.refund(&id).await;
    app.take_time(&id).await;
    Ok(Json(refunded?))
}

impl App {
    /// The bank's own delay, after the work is done and stored. A caller that gives up in the meantime does not know
    /// the outcome, which is how banks fail.
    async fn take_time(&self, about: &str) {
        let time = self.behavior.takes(self.seed, about);
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
    }
}

impl From<ChargeError> for ApiError {
    fn from(e: ChargeError) -> Self {
        match e {
            ChargeError::Store(e) => e.into(),
            ChargeError::Refused(r) => r.into(),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(r: Refusal) -> Self {
        match r {
            Refusal::Invalid(_) => ApiError::invalid(""),
            Refusal::KeyReused => ApiError::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "key-reused",
                "This key stands for something else",
            ),
            Refusal::NothingTaken => ApiError::new(
                StatusCode::CONFLICT,
                "nothing-to-refund",
                "Nothing was taken",
            ),
            Refusal::Unknown => ApiError::not_found("charge"),
        }
        .detail(r.to_string())
    }
}
