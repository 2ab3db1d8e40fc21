//! The inventory's handlers.

use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::{Json, Router};
use shop_contract::Role;
use shop_contract::inventory::{NewReservation, Reservation, Restock, Stock};
use shop_contract::operation::inventory as operations;
use shop_kit::Kit;
use shop_kit::auth::{Admin, Service};
use shop_kit::openapi::Routes;
use shop_kit::problem::{ApiError, Body, Path};
use shop_kit::server;

use crate::reservation::Refusal;
use crate::stock::check;
use crate::store::{Inventory, InventoryError};

#[derive(Clone)]
struct App {
    kit: Kit,
    inventory: Inventory,
}

impl FromRef<App> for Kit {
    fn from_ref(app: &App) -> Kit {
        app.kit.clone()
    }
}

/// The API, with the server stack around it.
pub fn router(kit: &Kit, inventory: Inventory) -> Router {
    let app = App {
        kit: kit.clone(),
        inventory,
    };
    let routes = Routes::of(Role::Inventory, app)
        .on(&operations::STOCK, stock)
        .on(&operations::RESTOCK, restock)
        .on(&operations::RESERVE, reserve)
        .on(&operations::COMMIT, commit)
        .on(&operations::RELEASE, release)
        .finish();
    server::stack(kit, routes)
}

async fn stock(State(app): State<App>, Path(product_id): Path) -> Result<Json<Stock>, ApiError> {
    let stock = app.inventory.stock(&product_id).await?;
    stock
        .map(Json)
        .ok_or_else(|| ApiError::not_found("product"))
}

async fn restock(
    State(app): State<App>,
    _: Admin,
    Path(product_id): Path,
    Body(Restock { available }): Body<Restock>,
) -> Result<Json<Stock>, ApiError> {
    let available = check(available).map_err(|e| ApiError::invalid(e.to_string()))?;
    let stock = app.inventory.restock(&product_id, available).await?;
    stock
        .map(Json)
        .ok_or_else(|| ApiError::not_found("product"))
}

async fn reserve(
    State(app): State<App>,
    _: Service,
    Body(new): Body<NewReservation>,
) -> Result<(StatusCode, Json<Reservation>), ApiError> {
    let (status, now) = app.inventory.reserve(&new).await?;
    let code = if now {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let reservation = Reservation { id: new.id, status };
    Ok((code, Json(reservation)))
}

async fn commit(
    State(app): State<App>,
    _: Service,
    Path(id): Path,
) -> Result<Json<Reservation>, ApiError> {
    Ok(Json(app.inventory.commit(&id).await?))
}

async fn release(
    State(app): State<App>,
    _: Service,
    Path(id): Path,
) -> Result<Json<Reservation>, ApiError> {
    Ok(Json(app.inventory.release(&id).await?))
}

impl From<InventoryError> for ApiError {
    fn from(e: InventoryError) -> Self {
        let conflict = |slug, title| ApiError::new(StatusCode::CONFLICT, slug, title);
        match e {
            InventoryError::Store(e) => e.into(),
            InventoryError::Refused(r) => match &r {
                Refusal::OutOfStock(_) => conflict("out-of-stock", "There is not enough in stock"),
                Refusal::Released => conflict("reservation-released", "The stock went back"),
                Refusal::Committed => conflict("reservation-committed", "The goods have left"),
                Refusal::Unknown => ApiError::not_found("reservation"),
                Refusal::Invalid(_) => ApiError::invalid(""),
            }
            .detail(r.to_string()),
        }
    }
}
