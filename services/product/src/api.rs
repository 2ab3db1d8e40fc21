//! The product service's paths.

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRef, Query, State};
use axum::http::StatusCode;
use axum::{Json, Router};
use serde::Deserialize;
use shop_contract::Role;
use shop_contract::events::{Envelope, Event};
use shop_contract::openapi::product as paths;
use shop_contract::product::{Product, ProductChange, ProductPage};
use shop_kit::auth::{Admin, Service};
use shop_kit::openapi::Routes;
use shop_kit::problem::{ApiError, Body, Path};
use shop_kit::{Kit, events, server};

use crate::listing::Listing;
use crate::store::Catalogue;
use crate::{catalogue, words};

#[derive(Clone)]
struct App {
    kit: Kit,
    catalogue: Catalogue,
}

impl FromRef<App> for Kit {
    fn from_ref(app: &App) -> Kit {
        app.kit.clone()
    }
}

/// The API, with the server stack around it.
pub fn router(kit: &Kit, catalogue: Catalogue) -> Router {
    let app = App {
        kit: kit.clone(),
        catalogue,
    };
    let routes = Routes::of(Role::Product)
        .on(&paths::LIST, list)
        .on(&paths::SEARCH, search)
        .on(&paths::ONE, one)
        .on(&paths::CHANGE, change)
        .on(&paths::EVENT, event)
        .with_state(app);
    server::stack(kit, routes)
}

#[derive(Deserialize)]
struct ListQuery {
    category: Option<String>,
    sort: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

async fn list(
    State(app): State<App>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<ProductPage>, ApiError> {
    let Query(q) = query.map_err(unreadable)?;
    let listing = Listing::read(q.category, q.sort.as_deref(), q.limit, q.cursor.as_deref())
        .map_err(|e| ApiError::invalid(e.to_string()))?;
    Ok(Json(app.catalogue.list(&listing).await?))
}

#[derive(Deserialize)]
struct SearchQuery {
    q: String,
}

async fn search(
    State(app): State<App>,
    query: Result<Query<SearchQuery>, QueryRejection>,
) -> Result<Json<ProductPage>, ApiError> {
    let Query(SearchQuery { q }) = query.map_err(unreadable)?;
    let asked = words::asked(&q).map_err(|e| ApiError::invalid(e.to_string()))?;
    let items = app.catalogue.search(&asked).await?;
    Ok(Json(ProductPage { items, next: None }))
}

async fn one(State(app): State<App>, Path(id): Path) -> Result<Json<Product>, ApiError> {
    found(app.catalogue.by_id(&id).await?)
}

async fn change(
    State(app): State<App>,
    _: Admin,
    Path(id): Path,
    Body(change): Body<ProductChange>,
) -> Result<Json<Product>, ApiError> {
    let change = catalogue::check(change).map_err(|e| ApiError::invalid(e.to_string()))?;
    found(app.catalogue.change(&id, &change).await?)
}

async fn event(
    State(app): State<App>,
    _: Service,
    Body(envelope): Body<Envelope>,
) -> Result<StatusCode, ApiError> {
    match &envelope.event {
        Event::OrderConfirmed(order) => {
            let act = app.catalogue.sold(&envelope.id, &order.items);
            events::receive(&app.kit, &envelope, act).await
        }
        // A cancelled order has sold nothing.
        Event::OrderCancelled(_) | Event::StockChanged(_) => Ok(StatusCode::NO_CONTENT),
    }
}

fn found(product: Option<Product>) -> Result<Json<Product>, ApiError> {
    product
        .map(Json)
        .ok_or_else(|| ApiError::not_found("product"))
}

fn unreadable(rejection: QueryRejection) -> ApiError {
    ApiError::bad_request(rejection.body_text())
}
