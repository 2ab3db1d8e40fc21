//! The outermost layer: a request's span, its metrics and its log line.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{HOST, USER_AGENT};
use axum::http::{HeaderValue, Version};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::request_guard::RequestGuard;
use super::request_names::OTHER;
use crate::Kit;
use crate::openapi::Operations;
use crate::telemetry::{propagation, urls};

/// What the layer needs.
#[derive(Clone)]
pub(super) struct Observer {
    kit: Kit,
    operations: Operations,
}

impl Observer {
    pub(super) fn new(kit: Kit, operations: Operations) -> Self {
        Self { kit, operations }
    }
}

pub(super) async fn observe(
    State(observer): State<Observer>,
    mut request: Request,
    next: Next,
) -> Response {
    let operation = observer.operations.of(&request);
    // The layers within read the operation from the request.
    if let Some(operation) = operation {
        request.extensions_mut().insert(operation);
    }
    let guard = RequestGuard::begin(observer.kit, &request, operation);
    let span = request_span(
        &request,
        &guard.method,
        &guard.route,
        guard.request_id.as_deref(),
    );
    // The guard moves into the future, so that it ends within the span also when the caller hangs up and this is dropped.
    async move {
        let response = next.run(request).await;
        guard.end(&response);
        response
    }
    .instrument(span)
    .await
}

/// The span of a request, a child of its caller's, after OpenTelemetry's convention for HTTP servers. Texts that the
/// caller chose are cut, and of a query only the harmless parts are shown.
fn request_span(
    request: &Request,
    method: &str,
    route: &str,
    request_id: Option<&str>,
) -> tracing::Span {
    let headers = request.headers();
    let text = |name| {
        headers
            .get(name)
            .and_then(|v: &HeaderValue| v.to_str().ok())
    };
    let (host, port) = text(HOST).map_or((None, None), |authority| {
        let (host, port) = urls::host_and_port(authority);
        (Some(urls::cut(host)), port)
    });
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let caller = propagation::extract(headers);
    let original = request.method().as_str();
    // A path without a route is not part of the name: there would be as many names as callers can think of.
    let verb = if method == OTHER { "HTTP" } else { method };
    let name = match route {
        "" => verb.to_owned(),
        route => format!("{verb} {route}"),
    };
    let span = tracing::info_span!(
        "request",
        otel.name = name,
        otel.kind = "server",
        http.request.method = method,
        http.request.method_original = (original != method).then(|| urls::cut(original)),
        http.route = (!route.is_empty()).then_some(route),
        url.scheme = "http",
        url.path = urls::cut(request.uri().path()),
        url.query = request.uri().query().map(urls::redacted_query),
        server.address = host,
        server.port = port.map(i64::from),
        client.address = peer.map(|p| tracing::field::display(p.0.ip())),
        network.protocol.version = version(request.version()),
        user_agent.original = text(USER_AGENT).map(urls::cut),
        user_agent.synthetic.type = propagation::is_synthetic(&caller).then_some("test"),
        "http.request.header.x-request-id" = request_id,
        http.response.status_code = tracing::field::Empty,
        error.type = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
        shop.fault = tracing::field::Empty,
    );
    // Without a tracer there is nothing to attach to. That is no error of this request.
    let _ = span.set_parent(caller);
    span
}

/// The protocol's version, as the convention writes it.
fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}
