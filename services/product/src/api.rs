//! The product service's handlers.

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRef, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use bytes::Bytes;
use serde::Deserialize;
use shop_contract::Role;
use shop_contract::events::Envelope;
use shop_contract::operation::product as operations;
use shop_contract::product::{Product, ProductChange};
use shop_kit::auth::{Admin, Service};
use shop_kit::context::Context;
use shop_kit::events::Subscriber;
use shop_kit::openapi::Routes;
use shop_kit::problem::{ApiError, Body, Path};
use shop_kit::server::RequestLogFields;
use shop_kit::{Kit, events, server};

use crate::availability::Reason;
use crate::listing::{self, Listing};
use crate::showcase::{ReadError, Showcase};
use crate::{availability, catalogue, live, words};

#[derive(Clone)]
struct App {
    kit: Kit,
    showcase: Showcase,
}

impl FromRef<App> for Kit {
    fn from_ref(app: &App) -> Kit {
        app.kit.clone()
    }
}

/// The API, with the server stack around it.
pub fn router(kit: &Kit, showcase: Showcase) -> Router {
    live::declare(kit);
    let app = App {
        kit: kit.clone(),
        showcase,
    };
    let routes = Routes::of(Role::Product, app)
        .on(&operations::LIST, list)
        .on(&operations::SEARCH, search)
        .on(&operations::ONE, one)
        .on(&operations::CHANGE, change)
        .on(&operations::EVENT, event)
        .finish();
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
) -> Result<Response, ApiError> {
    let Query(q) = query.map_err(unreadable)?;
    let listing = Listing::read(q.category, q.sort.as_deref(), q.limit, q.cursor.as_deref())?;
    Ok(json(app.showcase.list(listing).await?))
}

#[derive(Deserialize)]
struct SearchQuery {
    q: String,
}

async fn search(
    State(app): State<App>,
    query: Result<Query<SearchQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(SearchQuery { q }) = query.map_err(unreadable)?;
    let asked = words::asked(&q).map_err(|e| ApiError::invalid(e.to_string()))?;
    Ok(json(app.showcase.search(asked).await?))
}

#[derive(Deserialize)]
struct PageQuery {
    #[serde(default)]
    stock: WantedStock,
}

/// The source of the stock that a page needs. A service that needs only title and price asks for the view, so that it
/// does not depend on inventory.
#[derive(Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WantedStock {
    #[default]
    Live,
    View,
}

async fn one(
    State(app): State<App>,
    context: Context,
    Path(id): Path,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(PageQuery { stock }) = query.map_err(unreadable)?;
    // The product first: nothing is asked about products that do not exist.
    let mut product = Product::clone(&*app.showcase.product(&id).await?);
    let mut missing = None;
    if let WantedStock::Live = stock {
        let reply = live::ask(&app.kit, &product.id, &context).await?;
        missing = reply.missing().map(Reason::name);
        product.availability = availability::shown(reply, app.kit.unix_ms(), product.availability);
    }
    let mut response = Json(product).into_response();
    if missing.is_some() {
        RequestLogFields::of(&mut response).degraded = missing;
    }
    Ok(response)
}

async fn change(
    State(app): State<App>,
    _: Admin,
    Path(id): Path,
    Body(change): Body<ProductChange>,
) -> Result<Json<Product>, ApiError> {
    let change = catalogue::check(change).map_err(|e| ApiError::invalid(e.to_string()))?;
    let changed = app.showcase.change(&id, &change).await?;
    changed.map(Json).ok_or_else(|| ReadError::NoProduct.into())
}

async fn event(
    State(app): State<App>,
    _: Service,
    Body(envelope): Body<Envelope>,
) -> Result<StatusCode, ApiError> {
    events::receive(&app.kit, &envelope, app.showcase.handle(&envelope)).await
}

/// A body that is JSON already, perhaps from the cache.
fn json(body: Bytes) -> Response {
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

fn unreadable(rejection: QueryRejection) -> ApiError {
    ApiError::bad_request(rejection.body_text())
}

impl From<ReadError> for ApiError {
    fn from(e: ReadError) -> Self {
        match e {
            ReadError::NoProduct => ApiError::not_found("product"),
            ReadError::Store(e) if e.is_overload() => {
                ApiError::overloaded("no connection to the database became free in time")
            }
            ReadError::Store(e) => ApiError::internal(e),
        }
    }
}

impl From<listing::Invalid> for ApiError {
    fn from(e: listing::Invalid) -> Self {
        match e {
            // A page's length is no filter; all lists of the shop refuse a wrong one in the same way.
            listing::Invalid::Limit => ApiError::bad_request(e.to_string()),
            _ => ApiError::invalid(e.to_string()),
        }
    }
}
