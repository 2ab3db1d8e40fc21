//! A request's id and body on their way through the gateway.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{Method, Response, StatusCode};
use axum::response::IntoResponse;
use http_body_util::BodyExt;
use hyper::body::Frame;
use serde_json::Value;
use shop_contract::Role;
use shop_gateway::{Limits, RateLimits};
use shop_kit::Kit;
use shop_testkit::{Ask, config, serve};
use tower::ServiceExt;

const ID: &str = "x-request-id";

fn gateway(service: String) -> Router {
    let peers: BTreeMap<Role, Vec<String>> = Role::ALL.map(|r| (r, vec![service.clone()])).into();
    let kit = Kit::new(config(Role::Gateway, &std::env::temp_dir(), peers));
    shop_gateway::router(&kit, &Arc::new(RateLimits::new(Limits::default())))
}

/// A service that answers with the id in the request, and sets another one in its own headers.
fn repeating() -> Router {
    Router::new().fallback(|request: Request| async move {
        let id = request.headers()[ID].to_str().unwrap().to_owned();
        ([(ID, "of-the-service")], id).into_response()
    })
}

async fn get(api: &Router, path: &str, id: Option<&str>) -> Response<Body> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = path.parse().unwrap();
    if let Some(id) = id {
        request.headers_mut().insert(ID, id.parse().unwrap());
    }
    api.clone().oneshot(request).await.unwrap()
}

/// The id in the answer, and the id that the service saw.
async fn ids(api: &Router, sent: Option<&str>) -> (String, String) {
    let answer = get(api, "/products", sent).await;
    let returned = answer.headers()[ID].to_str().unwrap().to_owned();
    let seen = answer.into_body().collect().await.unwrap().to_bytes();
    (returned, String::from_utf8(seen.into()).unwrap())
}

#[tokio::test]
async fn a_callers_own_id_goes_in_and_comes_back() {
    let api = gateway(serve(repeating()).await);
    let longest = "a".repeat(64);
    for id in ["7", "a.B-c_9", &longest] {
        let (returned, seen) = ids(&api, Some(id)).await;
        assert_eq!((returned.as_str(), seen.as_str()), (id, id));
    }
}

#[tokio::test]
async fn a_request_without_a_usable_id_gets_a_new_one() {
    let api = gateway(serve(repeating()).await);
    let too_long = "a".repeat(65);
    let mut made = Vec::new();
    for id in [
        None,
        Some(""),
        Some("two words"),
        Some("<b>"),
        Some("a\"b"),
        Some(&too_long),
    ] {
        let (returned, seen) = ids(&api, id).await;
        assert_eq!(returned, seen, "{id:?}");
        let uuid: uuid::Uuid = returned.parse().unwrap();
        assert_eq!(uuid.get_version_num(), 7, "{id:?}");
        made.push(returned);
    }
    made.sort();
    made.dedup();
    assert_eq!(made.len(), 6, "no two the same");
}

#[tokio::test]
async fn refusals_have_an_id_too() {
    let api = gateway(serve(repeating()).await);
    for (path, status) in [("/nowhere", 404), ("/cart", 401)] {
        let answer = get(&api, path, Some("mine")).await;
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()[ID], "mine");
    }
}

#[tokio::test]
async fn bodies_pass_up_to_64_kibibytes() {
    let created = Router::new().fallback(|| async { StatusCode::CREATED });
    let api = gateway(serve(created).await);
    let register = |bytes: usize| {
        // Two of them are the quotation marks.
        let body = Value::String("a".repeat(bytes - 2));
        Ask::new(Method::POST, "/users").json(body)
    };
    let (status, _) = register(64 * 1024).send(&api).await;
    assert_eq!(status, StatusCode::CREATED);
    let (status, problem) = register(64 * 1024 + 1).send(&api).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(problem["type"], "urn:doorbuster:problem:too-large");
}

struct BreaksOff;

impl HttpBody for BreaksOff {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready(Some(Err(io::Error::other("the caller is gone"))))
    }
}

/// A body that breaks off is the caller's fault, whatever its size.
#[tokio::test]
async fn an_incomplete_body_is_a_bad_request() {
    let api = gateway(serve(repeating()).await);
    let (status, problem) = post(&api, Body::new(BreaksOff)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(problem["type"], "urn:doorbuster:problem:bad-request");
}

async fn post(api: &Router, body: Body) -> (StatusCode, Value) {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = "/users".parse().unwrap();
    let answer = api.clone().oneshot(request).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}
