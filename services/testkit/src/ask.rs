//! Requests to a router, without a socket.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use shop_contract::headers::{IDEMPOTENCY_KEY, SERVICE_KEY};
use tower::ServiceExt;

use crate::config::KEY;

/// A request to a router.
pub struct Ask {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Body,
}

/// A GET.
pub fn ask_get(path: &str) -> Ask {
    Ask::new(Method::GET, path)
}

/// A POST with a JSON body.
pub fn ask_post(path: &str, body: Value) -> Ask {
    Ask::new(Method::POST, path).json(body)
}

impl Ask {
    /// A request with any method.
    pub fn new(method: Method, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: Body::empty(),
        }
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(mut self, body: Value) -> Self {
        self.body = Body::from(body.to_string());
        self.header(header::CONTENT_TYPE.as_str(), "application/json")
    }

    /// As another service.
    #[must_use]
    pub fn as_service(self) -> Self {
        self.header(SERVICE_KEY, KEY)
    }

    /// With a token.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        self.header(header::AUTHORIZATION.as_str(), &format!("Bearer {token}"))
    }

    /// With an idempotency key.
    #[must_use]
    pub fn with_key(self, key: &str) -> Self {
        self.header(IDEMPOTENCY_KEY, key)
    }

    /// With any header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = header::HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    /// Sends it. An empty body, or one that is not JSON, is returned as `Null`.
    pub async fn send(self, to: &Router) -> (StatusCode, Value) {
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.path.parse().unwrap();
        *request.headers_mut() = self.headers;
        let response = to.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }
}

/// The kind of a problem: the last part of its type.
pub fn slug(problem: &Value) -> &str {
    let kind = problem["type"].as_str().unwrap();
    kind.rsplit(':').next().unwrap()
}
