//! The server stack: what happens to every request before and after its handler.
//!
//! Read [`stack`] from top to bottom, as a request does.

mod labels;
pub(crate) mod told;
mod underway;

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::header::{AUTHORIZATION, HOST, USER_AGENT};
use axum::http::{HeaderValue, Method, StatusCode, Version};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use metrics::{counter, gauge};
use shop_contract::Role;
use shop_resilience::{Deadline, Priority, Served, ShedReason};
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::Kit;
use crate::context::Context;
use crate::faults;
use crate::problem::ApiError;
use crate::response_marks::{DeadlineMissed, Overloaded};
use crate::telemetry::{names, propagation, urls};
pub use labels::request_id;
use labels::{OTHER, RESET, count_failed};
pub use told::Told;

use underway::Underway;

/// The largest body a service reads. A checkout has some fifty bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// Why a request was refused that found no database connection, beside the reasons of the limit.
const DATABASE: &str = "database";
/// What requests fail with. Known beforehand, so that a rate over the first failure is not lost; any other status that a
/// fault may set comes with its first one.
const FAILURES: [&str; 4] = ["500", "503", "504", RESET];

/// Puts the stack around a service's routes.
pub fn stack(kit: &Kit, routes: Router) -> Router {
    let with = || kit.clone();
    // Known beforehand, so that a rate over the first refusal is not lost.
    for reason in ShedReason::ALL.map(ShedReason::as_str) {
        count_shed(kit, reason, 0);
    }
    count_shed(kit, DATABASE, 0);
    for at in ["arrival", "work"] {
        count_missed(kit, at, 0);
    }
    for error in FAILURES {
        count_failed(kit, error, 0);
    }
    kit.metrics().record(|| {
        gauge!(names::HTTP_SERVER_ACTIVE).set(0.0);
        gauge!(names::TARGET_INFO, "service_version" => env!("CARGO_PKG_VERSION")).set(1.0);
    });
    routes
        .fallback(|| async { ApiError::not_found("path") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "This path has no such method",
            )
        })
        // Innermost first: axum runs the layer that was added last before the others.
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        // A fault holds the request where a slow handler would: inside of limit and deadline.
        .layer(middleware::from_fn_with_state(
            with(),
            faults::inject_faults,
        ))
        // Refused work must cost nothing, so the limit stands before the work but within the figures.
        .layer(middleware::from_fn_with_state(with(), limit))
        // Nobody waits any longer for what is past its deadline.
        .layer(middleware::from_fn_with_state(with(), keep_deadline))
        // Outermost: whatever happened inside is seen by span, metrics and log.
        .layer(middleware::from_fn_with_state(with(), observe))
}

async fn observe(State(kit): State<Kit>, request: Request, next: Next) -> Response {
    let underway = Underway::begin(kit, &request);
    let span = request_span(
        &request,
        &underway.method,
        &underway.route,
        underway.request_id.as_deref(),
    );
    // It moves in, so that it ends within the span also when this is dropped in its midst, for the caller has hung up.
    async move {
        let response = next.run(request).await;
        underway.end(&response);
        response
    }
    .instrument(span)
    .await
}

/// The span of a request, a child of its caller's: OpenTelemetry's convention for HTTP servers. What a caller writes as it
/// likes is cut, and of a query only what is harmless is shown.
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
    // A path that is none of ours is no name for a span: there would be as many as there are callers with ideas. Nor is
    // a method that HTTP does not know.
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
    // Without a tracer there is nothing to attach to, which is no error of this request.
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

async fn keep_deadline(State(kit): State<Kit>, mut request: Request, next: Next) -> Response {
    let now = kit.now();
    let deadline = kit.config().resilience.deadlines.then(|| {
        let sent = request.headers().get(Deadline::HEADER);
        let usual = Deadline::after(now, kit.default_timeout());
        let asked = sent
            .and_then(|v| v.to_str().ok())
            .and_then(|v| Deadline::from_header(v, now))
            .unwrap_or(usual);
        // From outside nobody may hold a place for longer than everyone else; services know what they ask for.
        if kit.config().role == Role::Gateway && asked.at() > usual.at() {
            usual
        } else {
            asked
        }
    });
    let context = Context {
        deadline,
        priority: priority(&request),
        authorization: request.headers().get(AUTHORIZATION).cloned(),
    };
    request.extensions_mut().insert(context);
    let Some(deadline) = deadline else {
        return next.run(request).await;
    };
    if !deadline.admits(now, Deadline::FLOOR) {
        return missed(&kit, ApiError::deadline().into_response(), "arrival");
    }
    match tokio::time::timeout(deadline.remaining(now), next.run(request)).await {
        // It was found out within, most likely before a call.
        Ok(response) if response.extensions().get::<DeadlineMissed>().is_some() => {
            missed(&kit, response, "work")
        }
        Ok(response) => response,
        Err(_) => missed(&kit, ApiError::deadline().into_response(), "work"),
    }
}

/// Buying goes before browsing; work that finishes what was begun goes before both.
fn priority(request: &Request) -> Priority {
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str);
    let reads = request.method() == Method::GET;
    match path.split('/').nth(1) {
        // Without the keys nobody can be told from anybody.
        Some(".well-known") => Priority::Critical,
        Some("payments" | "notifications") if reads => Priority::Browsing,
        Some("events" | "reservations" | "payments" | "charges" | "notifications") => {
            Priority::Critical
        }
        Some("orders" | "cart" | "users") => Priority::Buying,
        _ => Priority::Browsing,
    }
}

async fn limit(State(kit): State<Kit>, request: Request, next: Next) -> Response {
    if !kit.config().resilience.shedding {
        return next.run(request).await;
    }
    let priority = request
        .extensions()
        .get::<Context>()
        .map_or(Priority::Browsing, |c| c.priority);
    match kit.limiter().admit(priority) {
        Ok(permit) => {
            let mut response = next.run(request).await;
            // Only a served request tells how long work takes.
            permit.release(if response.extensions().get::<Overloaded>().is_some() {
                count_shed(&kit, DATABASE, 1);
                Told::of(&mut response).shed = Some(DATABASE);
                Served::Overloaded
            } else if response.status().is_success() {
                Served::Ok
            } else {
                Served::Untold
            });
            response
        }
        Err(refusal) => {
            count_shed(&kit, refusal.as_str(), 1);
            let mut response = ApiError::shed(refusal.as_str()).into_response();
            Told::of(&mut response).shed = Some(refusal.as_str());
            response
        }
    }
}

fn missed(kit: &Kit, mut response: Response, at: &'static str) -> Response {
    count_missed(kit, at, 1);
    Told::of(&mut response).deadline = Some(at);
    response
}

fn count_missed(kit: &Kit, at: &'static str, requests: u64) {
    kit.metrics()
        .record(|| counter!(names::DEADLINES_MISSED, "at" => at).increment(requests));
}

fn count_shed(kit: &Kit, reason: &'static str, requests: u64) {
    kit.metrics()
        .record(|| counter!(names::SHED, "reason" => reason).increment(requests));
}
