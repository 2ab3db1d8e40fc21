//! The admin API of a service, on a listener of its own: for operators, never for shoppers.

use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};
use futures_util::stream::{StreamExt, TryStreamExt};
use shop_contract::audit::Moving;
use shop_contract::faults::{FaultOrder, FaultState, FaultStates};

use crate::Kit;
use crate::audit::Audit;
use crate::auth::credentials::{bearer, constant_time_eq};
use crate::faults::FaultRefused;
use crate::problem::ApiError;
use crate::store::Store;
use crate::telemetry::metrics::MEDIA_TYPE;
use crate::telemetry::resource_metrics;

#[derive(Clone)]
struct AdminState {
    kit: Kit,
    store: Option<Store>,
    audit: Audit,
}

/// The admin API of a service.
pub fn router(kit: Kit, store: Option<Store>, audit: Audit) -> Router {
    let state = AdminState { kit, store, audit };
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(|| async { "live\n" }))
        .route("/readyz", get(readyz))
        .route("/faults", get(faults).post(inject).delete(clear_all))
        .route("/faults/{name}", delete(clear))
        .route("/audit", get(audit_lines))
        .route("/audit/moving", get(audit_moving))
        .fallback(|| async { ApiError::not_found("admin path") })
        .layer(middleware::from_fn_with_state(state.clone(), authenticate))
        .with_state(state)
}

/// Requires the bearer token, if one is configured. Health is open, as orchestrators expect.
async fn authenticate(State(s): State<AdminState>, request: Request, next: Next) -> Response {
    let open = matches!(request.uri().path(), "/livez" | "/readyz");
    let expected = s.kit.config().admin_token.as_deref();
    let given = bearer(request.headers());
    let matches =
        |token: &str| given.is_some_and(|g| constant_time_eq(g.as_bytes(), token.as_bytes()));
    if open || expected.is_none_or(matches) {
        next.run(request).await
    } else {
        ApiError::unauthorized("the admin listener needs its bearer token").into_response()
    }
}

async fn metrics(State(s): State<AdminState>) -> Response {
    if let Some(store) = &s.store {
        store.update_metrics();
    }
    resource_metrics::update(&s.kit);
    s.kit.config().traces.update(s.kit.metrics());
    (
        [(header::CONTENT_TYPE, MEDIA_TYPE)],
        s.kit.metrics().render(),
    )
        .into_response()
}

async fn readyz(State(s): State<AdminState>) -> Result<&'static str, ApiError> {
    let database = match &s.store {
        Some(store) => store.alive().await,
        None => true,
    };
    if !s.kit.is_ready() {
        Err(ApiError::unavailable("not-ready", "starting or stopping"))
    } else if !database {
        Err(ApiError::unavailable(
            "not-ready",
            "the database does not answer",
        ))
    } else {
        Ok("ready\n")
    }
}

async fn faults(State(s): State<AdminState>) -> Json<FaultStates> {
    Json(s.kit.faults().states())
}

async fn inject(
    State(s): State<AdminState>,
    body: Result<Json<FaultOrder>, axum::extract::rejection::JsonRejection>,
) -> Result<(StatusCode, Json<FaultState>), ApiError> {
    let Json(order) = body.map_err(|e| ApiError::bad_request(e.body_text()))?;
    match s.kit.faults().inject(order) {
        Ok(state) => Ok((StatusCode::CREATED, Json(state))),
        Err(e @ FaultRefused::NameTaken(_)) => {
            Err(
                ApiError::new(StatusCode::CONFLICT, "fault-exists", "That name is taken")
                    .detail(e.to_string()),
            )
        }
        Err(e @ FaultRefused::Invalid(_)) => Err(ApiError::bad_request(e.to_string())),
    }
}

async fn clear(
    State(s): State<AdminState>,
    Path(name): Path<String>,
) -> Result<Json<FaultState>, ApiError> {
    let ended = s.kit.faults().clear(&name);
    ended.map(Json).ok_or_else(|| ApiError::not_found("fault"))
}

async fn clear_all(State(s): State<AdminState>) -> Json<FaultStates> {
    Json(s.kit.faults().clear_all())
}

/// Streams what the service holds, page by page. If the database fails after the first page, the response is cut short, which
/// the client notices.
async fn audit_lines(State(s): State<AdminState>) -> Result<Response, ApiError> {
    let mut lines = s.audit.lines();
    let first = lines.next().await.transpose()?.unwrap_or(Bytes::new());
    let rest =
        lines.inspect_err(|e| tracing::error!(error = %e, "the audit response was cut short"));
    let all = futures_util::stream::once(std::future::ready(Ok(first))).chain(rest);
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(all)).into_response())
}

async fn audit_moving(State(s): State<AdminState>) -> Result<Json<Moving>, ApiError> {
    Ok(Json(s.audit.moving().await?))
}
