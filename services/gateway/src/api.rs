//! The gateway's handlers: every public request is checked and forwarded.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, LOCATION, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode};
use axum::middleware;
use axum::response::Response;
use bytes::Bytes;
use governor::clock::Clock;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use metrics::counter;
use shop_contract::headers::IDEMPOTENCY_KEY;
use shop_contract::openapi::DocumentScope;
use shop_kit::auth::bearer;
use shop_kit::client::{Answer, Call};
use shop_kit::context::Context;
use shop_kit::openapi::Routes;
use shop_kit::problem::ApiError;
use shop_kit::telemetry::names;
use shop_kit::{Kit, server};

use crate::funnel;
use crate::rate_limit::{Client, RateLimits};
use crate::request_id::{self, REQUEST_ID};
use crate::routes::{Route, TABLE};

/// Request headers that are forwarded. All others are dropped, above all those that only services may set.
const INWARD: [HeaderName; 5] = [
    AUTHORIZATION,
    CONTENT_TYPE,
    ACCEPT,
    HeaderName::from_static(IDEMPOTENCY_KEY),
    REQUEST_ID,
];
/// Answer headers that are returned.
const OUTWARD: [HeaderName; 4] = [CONTENT_TYPE, ETAG, LOCATION, RETRY_AFTER];
/// The largest body that is forwarded.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// The reason of a rate-limited request, beside the reasons of the server stack.
const RATE_LIMITED: &str = "rate_limited";

/// The API, with the server stack around it.
pub fn router<C>(kit: &Kit, limits: &Arc<RateLimits<C>>) -> Router
where
    C: Clock + Send + Sync + 'static,
{
    count_refusals(kit, 0);
    funnel::declare(kit);
    let mut routes = Routes::in_scope(DocumentScope::Public, ());
    for route in TABLE {
        let (kit, limits) = (kit.clone(), Arc::clone(limits));
        routes = routes.on(
            route.operation,
            move |context: Context, request: Request| {
                let (kit, limits) = (kit.clone(), Arc::clone(&limits));
                async move { pass(&kit, &limits, route, &context, request).await }
            },
        );
    }
    // Outside of the stack, whose span and log have the id.
    server::stack(kit, routes.finish()).layer(middleware::from_fn(request_id::carry))
}

async fn pass<C: Clock>(
    kit: &Kit,
    limits: &RateLimits<C>,
    route: &'static Route,
    context: &Context,
    request: Request,
) -> Result<Response, ApiError> {
    if let Some(step) = route.step.filter(|s| s.is_taken_by_asking()) {
        funnel::count(kit, step, 1);
    }
    let (head, body) = request.into_parts();
    admit(kit, limits, route, &head).await?;
    let answer = forward(kit, route, context, head, body).await?;
    if let Some(step) = route.step.and_then(|s| s.reached(answer.status())) {
        funnel::count(kit, step, 1);
    }
    Ok(answer)
}

/// Lets a request in that has a token, where one is needed, and is within its client's rate limit.
async fn admit<C: Clock>(
    kit: &Kit,
    limits: &RateLimits<C>,
    route: &Route,
    head: &Parts,
) -> Result<(), ApiError> {
    // A token that is not needed is not checked. A client could leave it out anyway to be counted by address, and
    // browsing must not wait for the keys of a user service that is down.
    let subject = if route.operation.needs_token() {
        subject(kit, head).await.map(Some)
    } else {
        Ok(None)
    };
    // A client with an invalid token is counted by its address, like a client without one.
    let (client, shown) = match subject {
        Ok(Some(subject)) => (Client::Subject(subject), Ok(())),
        Ok(None) => (Client::at(address(head)), Ok(())),
        Err(refused) => (Client::at(address(head)), Err(refused)),
    };
    if let Err(soon) = limits.admit(&client) {
        count_refusals(kit, 1);
        return Err(ApiError::rate_limited(soon.wait));
    }
    shown
}

async fn subject(kit: &Kit, head: &Parts) -> Result<String, ApiError> {
    let token = bearer(&head.headers)
        .ok_or_else(|| ApiError::unauthorized("there is no `Authorization: Bearer` header"))?;
    Ok(kit.verify(token).await?.sub)
}

/// The address of the client. Forwarding headers are ignored, since anyone can set them. Without a socket, in tests,
/// all clients have the same address.
fn address(head: &Parts) -> IpAddr {
    head.extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.0.ip())
}

fn count_refusals(kit: &Kit, refusals: u64) {
    kit.metrics()
        .record(|| counter!(names::SHED, "reason" => RATE_LIMITED).increment(refusals));
}

async fn forward(
    kit: &Kit,
    route: &'static Route,
    context: &Context,
    head: Parts,
    body: Body,
) -> Result<Response, ApiError> {
    let body = read(body, kit.default_timeout()).await?;
    let path = head
        .uri
        .path_and_query()
        .map_or_else(|| head.uri.path(), |p| p.as_str());
    let mut call = Call::forwarding(route.operation, head.method, path).body(body);
    for name in INWARD {
        if let Some(value) = head.headers.get(&name) {
            call = call.header(name, value.clone());
        }
    }
    let answer = kit.call(call, context).await?;
    Ok(outward(answer))
}

/// The whole body. It has a time limit of its own: callers may set the deadline, and deadlines can be switched off.
async fn read(body: Body, time: Duration) -> Result<Bytes, ApiError> {
    let whole = Limited::new(body, MAX_BODY_BYTES).collect();
    match tokio::time::timeout(time, whole).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(e)) if e.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(e)) => Err(ApiError::bad_request(format!("the body broke off: {e}"))),
        Err(_) => Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "too-slow",
            "The body did not arrive in time",
        )),
    }
}

fn outward(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    for name in OUTWARD {
        if let Some(value) = answer.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

fn too_large() -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too-large",
        "The body is too large",
    )
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use axum::body::HttpBody;
    use axum::response::IntoResponse;

    use super::*;

    struct NeverComes;

    impl HttpBody for NeverComes {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn a_body_that_never_comes_is_given_up() {
        let refused = read(Body::new(NeverComes), Duration::from_millis(1)).await;
        let answer = refused.unwrap_err().into_response();
        assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
    }
}
