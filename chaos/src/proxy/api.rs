//! The HTTP API of Toxiproxy 2, with the same paths and statuses, so that its clients work unchanged.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::error::ProxyError;
use super::proxies::{Proxies, ProxyInfo};
use super::wire;

/// The version in `GET /version`. Clients choose the API by its major number.
const API_VERSION: &str = "2.12.0";
/// How long running requests may take after the shutdown.
const GRACE: Duration = Duration::from_secs(1);

/// The routes of the API for `proxies`.
pub fn router(proxies: Proxies) -> Router {
    Router::new()
        .route("/version", get(version))
        .route("/metrics", get(metrics))
        .route("/reset", post(reset))
        .route("/populate", post(populate))
        .route("/proxies", get(index).post(create))
        .route(
            "/proxies/{proxy}",
            get(show).post(update).patch(update).delete(delete),
        )
        .route("/proxies/{proxy}/toxics", get(toxics).post(add_toxic))
        .route(
            "/proxies/{proxy}/toxics/{toxic}",
            get(show_toxic)
                .post(update_toxic)
                .patch(update_toxic)
                .delete(remove_toxic),
        )
        .layer(middleware::from_fn(reject_browsers))
        .with_state(proxies)
}

/// Serves the API until `shutdown` is cancelled. It does not close the proxies.
///
/// # Errors
/// Errors of the listening socket.
pub async fn serve(
    listener: TcpListener,
    proxies: Proxies,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let ended = shutdown.clone();
    let server = axum::serve(listener, router(proxies))
        .with_graceful_shutdown(async move { shutdown.cancelled().await });
    tokio::select! {
        served = server => served,
        () = async { ended.cancelled().await; tokio::time::sleep(GRACE).await } => Ok(()),
    }
}

/// Rejects browsers: otherwise a web page could change the proxies of its visitor's machine.
async fn reject_browsers(request: Request, next: Next) -> Response {
    let agent = request.headers().get(header::USER_AGENT);
    if agent.is_some_and(|a| a.as_bytes().starts_with(b"Mozilla/")) {
        return (StatusCode::FORBIDDEN, "User agent not allowed\n").into_response();
    }
    next.run(request).await
}

impl IntoResponse for ProxyError {
    fn into_response(self) -> Response {
        (status(&self), Json(error_json(&self))).into_response()
    }
}

fn status(error: &ProxyError) -> StatusCode {
    StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn error_json(error: &ProxyError) -> Value {
    json!({ "error": error.to_string(), "status": error.status() })
}

type ApiResult = Result<Response, ProxyError>;

fn proxy_json(info: &ProxyInfo) -> Response {
    Json(wire::proxy(info)).into_response()
}

async fn version() -> Json<Value> {
    Json(json!({ "version": API_VERSION }))
}

async fn index(State(proxies): State<Proxies>) -> Json<Value> {
    let all = proxies.list();
    let by_name: Map<_, _> = all
        .iter()
        .map(|info| (info.spec.name.clone(), wire::proxy(info)))
        .collect();
    Json(by_name.into())
}

async fn create(State(proxies): State<Proxies>, body: Bytes) -> ApiResult {
    let created = proxies.create(wire::spec(&body)?).await?;
    Ok((StatusCode::CREATED, proxy_json(&created)).into_response())
}

async fn populate(State(proxies): State<Proxies>, body: Bytes) -> Response {
    let (done, result) = match wire::specs_from_json(&body) {
        Ok(specs) => proxies.populate(&specs).await,
        Err(e) => (vec![], Err(e)),
    };
    let mut json = json!({ "proxies": done.iter().map(wire::proxy).collect::<Vec<_>>() });
    let status = match result {
        Ok(()) => StatusCode::CREATED,
        Err(e) => {
            json["error"] = e.to_string().into();
            json["status"] = e.status().into();
            status(&e)
        }
    };
    (status, Json(json)).into_response()
}

async fn reset(State(proxies): State<Proxies>) -> ApiResult {
    proxies.reset().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn show(State(proxies): State<Proxies>, Path(proxy): Path<String>) -> ApiResult {
    Ok(proxy_json(&proxies.get(&proxy)?))
}

async fn update(
    State(proxies): State<Proxies>,
    Path(proxy): Path<String>,
    body: Bytes,
) -> ApiResult {
    proxies.get(&proxy)?;
    let changed = proxies.update(&proxy, wire::change(&body)?).await?;
    Ok(proxy_json(&changed))
}

async fn delete(State(proxies): State<Proxies>, Path(proxy): Path<String>) -> ApiResult {
    proxies.delete(&proxy).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn toxics(State(proxies): State<Proxies>, Path(proxy): Path<String>) -> ApiResult {
    let info = proxies.get(&proxy)?;
    let toxics: Vec<_> = info.toxics.iter().map(wire::toxic).collect();
    Ok(Json(toxics).into_response())
}

async fn add_toxic(
    State(proxies): State<Proxies>,
    Path(proxy): Path<String>,
    body: Bytes,
) -> ApiResult {
    proxies.get(&proxy)?;
    let toxic = proxies.add_toxic(&proxy, wire::new_toxic(&body)?)?;
    Ok(Json(wire::toxic(&toxic)).into_response())
}

async fn show_toxic(
    State(proxies): State<Proxies>,
    Path((proxy, toxic)): Path<(String, String)>,
) -> ApiResult {
    Ok(Json(wire::toxic(&proxies.toxic(&proxy, &toxic)?)).into_response())
}

async fn update_toxic(
    State(proxies): State<Proxies>,
    Path((proxy, toxic)): Path<(String, String)>,
    body: Bytes,
) -> ApiResult {
    let now = proxies.toxic(&proxy, &toxic)?;
    let changed = proxies.change_toxic(&proxy, &toxic, wire::toxic_change(&body, &now)?)?;
    Ok(Json(wire::toxic(&changed)).into_response())
}

async fn remove_toxic(
    State(proxies): State<Proxies>,
    Path((proxy, toxic)): Path<(String, String)>,
) -> ApiResult {
    proxies.remove_toxic(&proxy, &toxic)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Toxiproxy's two counters, in the text format of Prometheus.
async fn metrics(State(proxies): State<Proxies>) -> Response {
    let all = proxies.list();
    let mut text = String::new();
    for (name, help) in [
        ("received", "Bytes that a proxy received, by direction."),
        ("sent", "Bytes that a proxy sent, by direction."),
    ] {
        let metric = format!("toxiproxy_proxy_{name}_bytes_total");
        text += &format!("# HELP {metric} {help}\n# TYPE {metric} counter\n");
        for info in &all {
            for (stream, received, sent) in info.bytes {
                let value = if name == "sent" { sent } else { received };
                text += &format!(
                    "{metric}{{direction=\"{}\",proxy=\"{}\",listener=\"{}\",upstream=\"{}\"}} {value}\n",
                    stream.name(),
                    label(&info.spec.name),
                    label(&info.spec.listen),
                    label(&info.spec.upstream),
                );
            }
        }
    }
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, text).into_response()
}

fn label(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
