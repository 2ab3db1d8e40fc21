//! The order service's handlers.

use std::time::Duration;

use axum::extract::{FromRef, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde::Deserialize;
use shop_contract::Role;
use shop_contract::bank::is_card_token;
use shop_contract::cart::Cart;
use shop_contract::operation::{cart, order as operations};
use shop_contract::order::{Checkout, Order, OrderList, OrderStatus};
use shop_kit::auth::{Caller, idempotency_key};
use shop_kit::client::Call;
use shop_kit::context::Context;
use shop_kit::openapi::Routes;
use shop_kit::problem::{ApiError, Body, Path};
use shop_kit::server::RequestLogFields;
use shop_kit::telemetry::propagation;
use shop_kit::telemetry::trace_context::current_context;
use shop_kit::{Kit, server};

use crate::drive::{Driver, LEASE};
use crate::order::{OrderState, Placed};

/// How long a checkout waits for the order's end without a deadline.
const PATIENCE: Duration = Duration::from_secs(5);
/// A checkout stops waiting this long before its deadline and answers with the order's present status.
const MARGIN: Duration = Duration::from_millis(50);
/// How often a checkout looks at an order that another request or replica is working on.
const LOOK_EVERY: Duration = Duration::from_millis(25);

#[derive(Clone)]
struct App {
    driver: Driver,
}

impl FromRef<App> for Kit {
    fn from_ref(app: &App) -> Kit {
        app.driver.kit().clone()
    }
}

/// The API, with the server stack around it.
pub fn router(kit: &Kit, driver: Driver) -> Router {
    let routes = Routes::of(Role::Order, App { driver })
        .on(&operations::CHECKOUT, checkout)
        .on(&operations::LIST, list)
        .on(&operations::SHOW, show)
        .finish();
    server::stack(kit, routes)
}

async fn checkout(
    State(app): State<App>,
    caller: Caller,
    context: Context,
    headers: HeaderMap,
    Body(checkout): Body<Checkout>,
) -> Result<Response, ApiError> {
    let key = idempotency_key(&headers)?;
    // The bank could never read such a card, so the order would never end.
    if !is_card_token(&checkout.card) {
        return Err(ApiError::invalid(
            "`card` must be the bank's token for a card: it begins with `tok_`",
        ));
    }
    let orders = app.driver.orders();
    let user_id = &caller.0.sub;
    let known = orders.by_key(user_id, key).await?;
    let order = match known {
        Some(order) => order,
        None => {
            let order = draft(&app, &caller, &context, key, checkout.card.clone()).await?;
            let lease_until = app.driver.kit().unix_ms() + LEASE.as_millis() as i64;
            if orders.place(&order, lease_until).await? {
                let moving = app.driver.start(order.clone());
                return match tokio::time::timeout(patience(&app, &context), moving).await {
                    Ok(Ok(order)) => outcome(order?),
                    Ok(Err(e)) => Err(ApiError::internal(e)),
                    // The order goes on without this request. Its history says how far it is.
                    Err(_) => {
                        let now = orders.load(order.id()).await?;
                        outcome(now.unwrap_or(order))
                    }
                };
            }
            // A second request with the same key stored its order first.
            let lost = || ApiError::internal("an order vanished while it was placed");
            orders.by_key(user_id, key).await?.ok_or_else(lost)?
        }
    };
    if order.placed.card != checkout.card {
        return Err(ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "key-reused",
            "This idempotency key stood for something else",
        ));
    }
    outcome(await_end(&app, &context, order).await?)
}

/// An order for the contents of the caller's cart.
async fn draft(
    app: &App,
    caller: &Caller,
    context: &Context,
    key: &str,
    card: String,
) -> Result<OrderState, ApiError> {
    let call = Call::to(&cart::ONE).on_behalf_of(context);
    let answer = app.driver.kit().call(call, context).await?;
    let cart: Cart = answer.ok(Role::Cart)?;
    if cart.items.is_empty() {
        return Err(ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "empty-cart",
            "There is nothing in the cart",
        ));
    }
    let (items, total) = Placed::lines(&cart);
    Ok(OrderState::new(Placed {
        order_id: uuid::Uuid::now_v7().to_string(),
        user_id: caller.0.sub.clone(),
        email: caller.0.email.clone(),
        key: key.to_owned(),
        card,
        items,
        total,
        at_ms: app.driver.kit().unix_ms(),
        traceparent: propagation::traceparent(&current_context()),
    }))
}

/// Waits for the end of an order that another request, another replica or the recovery is working on.
async fn await_end(
    app: &App,
    context: &Context,
    mut order: OrderState,
) -> Result<OrderState, ApiError> {
    let until = tokio::time::Instant::now() + patience(app, context);
    while !order.status.is_final() && tokio::time::Instant::now() < until {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Some(newer) = app.driver.orders().load(order.id()).await? {
            order = newer;
        }
    }
    Ok(order)
}

fn patience(app: &App, context: &Context) -> Duration {
    let now = app.driver.kit().now();
    let left = context.deadline.map_or(PATIENCE, |d| d.remaining(now));
    left.saturating_sub(MARGIN)
}

fn outcome(order: OrderState) -> Result<Response, ApiError> {
    let status = match order.status {
        OrderStatus::Confirmed => StatusCode::CREATED,
        OrderStatus::Cancelled => return Err(cancelled(&order)),
        // No refund is due, so the order's end is certain.
        OrderStatus::Cancelling if !order.refund_is_due() => return Err(cancelled(&order)),
        _ => StatusCode::ACCEPTED,
    };
    let mut response = (status, Json(order.shown())).into_response();
    RequestLogFields::of(&mut response).order_id = Some(order.id().to_owned());
    Ok(response)
}

fn cancelled(order: &OrderState) -> ApiError {
    let reason = order.reason.as_deref().unwrap_or("cancelled");
    let (status, title) = match reason {
        "card-declined" => (StatusCode::PAYMENT_REQUIRED, "The bank declined the card"),
        "out-of-stock" => (StatusCode::CONFLICT, "There is not enough in stock"),
        _ => (StatusCode::CONFLICT, "The order was cancelled"),
    };
    ApiError::new(status, reason, title).order(order.id())
}

#[derive(Deserialize)]
struct ListQuery {
    limit: Option<i64>,
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    query: Result<Query<ListQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<OrderList>, ApiError> {
    let Query(query) = query.map_err(|e| ApiError::bad_request(e.body_text()))?;
    let limit = query.limit.unwrap_or(20);
    if !(1..=100).contains(&limit) {
        return Err(ApiError::bad_request("`limit` must be from 1 to 100"));
    }
    let items = app.driver.orders().of_user(&caller.0.sub, limit).await?;
    Ok(Json(OrderList { items }))
}

async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path,
) -> Result<Json<Order>, ApiError> {
    let found = app.driver.orders().shown(&id).await?;
    let (order, owner) = found.ok_or_else(|| ApiError::not_found("order"))?;
    caller.owns(&owner, "order")?;
    Ok(Json(order))
}
