//! The cart service's handlers.

use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::{Json, Router};
use shop_contract::Role;
use shop_contract::cart::{Cart, CartItem, SetQuantity};
use shop_contract::events::Envelope;
use shop_contract::operation::{cart as operations, product};
use shop_contract::product::Product;
use shop_kit::auth::{Caller, Service};
use shop_kit::client::Call;
use shop_kit::context::Context;
use shop_kit::events::Subscriber;
use shop_kit::openapi::Routes;
use shop_kit::problem::{ApiError, Body, Path};
use shop_kit::{Kit, events, server};

use crate::cart::{self, Refusal};
use crate::store::{CartError, Carts};

#[derive(Clone)]
struct App {
    kit: Kit,
    carts: Carts,
}

impl FromRef<App> for Kit {
    fn from_ref(app: &App) -> Kit {
        app.kit.clone()
    }
}

/// The API, with the server stack around it.
pub fn router(kit: &Kit, carts: Carts) -> Router {
    let app = App {
        kit: kit.clone(),
        carts,
    };
    let routes = Routes::of(Role::Cart, app)
        .on(&operations::ONE, one)
        .on(&operations::SET, set)
        .on(&operations::REMOVE, remove)
        .on(&operations::EVENT, event)
        .finish();
    server::stack(kit, routes)
}

async fn one(State(app): State<App>, Caller(caller): Caller) -> Result<Json<Cart>, ApiError> {
    Ok(Json(app.carts.of(&caller.sub).await?))
}

async fn set(
    State(app): State<App>,
    Caller(caller): Caller,
    context: Context,
    Path(product_id): Path,
    Body(SetQuantity { quantity }): Body<SetQuantity>,
) -> Result<Json<Cart>, ApiError> {
    cart::check(quantity)?;
    let product = app.product(&product_id, &context).await?;
    let item = CartItem {
        product_id: product.id,
        title: product.title,
        quantity,
        unit_price: product.price,
    };
    Ok(Json(app.carts.set(&caller.sub, &item).await?))
}

async fn remove(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(product_id): Path,
) -> Result<Json<Cart>, ApiError> {
    if !cart::is_product_id(&product_id) {
        return Err(ApiError::not_found("product"));
    }
    Ok(Json(app.carts.remove(&caller.sub, &product_id).await?))
}

async fn event(
    State(app): State<App>,
    _: Service,
    Body(envelope): Body<Envelope>,
) -> Result<StatusCode, ApiError> {
    events::receive(&app.kit, &envelope, app.carts.handle(&envelope)).await
}

impl App {
    /// The product as the shopper sees it: 404 if there is none, 503 if the product service does not answer.
    async fn product(&self, id: &str, context: &Context) -> Result<Product, ApiError> {
        let unknown = || ApiError::not_found("product");
        if !cart::is_product_id(id) {
            return Err(unknown());
        }
        // Only title and price are needed. The stock is checked when the order is placed.
        let call = Call::to(&product::ONE).path(id).query("stock", "view");
        let answer = self.kit.call(call, context).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Err(unknown());
        }
        Ok(answer.ok(Role::Product)?)
    }
}

impl From<CartError> for ApiError {
    fn from(e: CartError) -> Self {
        match e {
            CartError::Store(e) => e.into(),
            CartError::Refused(r) => r.into(),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(r: Refusal) -> Self {
        ApiError::invalid(r.to_string())
    }
}
