//! What the tests of the services share: a configuration with a database, callers with tokens, peers on real sockets.
//!
//! Used by tests alone, so it panics where a test would.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod database;
mod document;
mod nats;
mod scrape;

use std::collections::BTreeMap;
use std::path::Path;

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::routing::get;
use axum::{Json, Router};
use ed25519_dalek::pkcs8::{EncodePrivateKey, KeypairBytes};
use http_body_util::BodyExt;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::Value;
use shop_contract::Role;
use shop_contract::headers::{IDEMPOTENCY_KEY, SERVICE_KEY};
use shop_contract::user::{Claims, ISSUER};
use shop_kit::config::{Events, ServiceConfig, Switches};
use tower::ServiceExt;

pub use document::check_document;
pub use nats::nats;
pub use scrape::{Metric, Page, Sample, metric};

/// The services' key in tests.
pub const KEY: &str = "key-of-the-tests";

/// The configuration of one service with the database of `folder`: the same folder is the same database.
pub fn config(role: Role, folder: &Path, peers: BTreeMap<Role, Vec<String>>) -> ServiceConfig {
    ServiceConfig {
        role,
        replica: 0,
        listen: ([127, 0, 0, 1], 0).into(),
        admin: ([127, 0, 0, 1], 0).into(),
        admin_token: None,
        database_url: database::url(role, folder),
        peers,
        service_key: KEY.to_owned(),
        events: Events::Http,
        resilience: Switches::default(),
        traces: Default::default(),
        seed: 7,
    }
}

/// Serves a router on a free port for the rest of the test; gives its `host:port`.
pub async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// Signs tokens as the user service does, and publishes the key to check them with.
pub struct Identity {
    private: EncodingKey,
    /// `host:port` of the published keys: the peer [`Role::User`].
    pub address: String,
}

const KID: &str = "tests";

impl Identity {
    /// An identity with a fixed key of its own, on a real socket.
    pub async fn start() -> Self {
        let pair = KeypairBytes {
            secret_key: [7; 32],
            public_key: None,
        };
        let der = pair.to_pkcs8_der().unwrap();
        let private = EncodingKey::from_ed_der(der.as_bytes());
        let mut jwk = Jwk::from_encoding_key(&private, Algorithm::EdDSA).unwrap();
        jwk.common.key_id = Some(KID.to_owned());
        let keys = JwkSet { keys: vec![jwk] };
        let router = Router::new().route(
            "/.well-known/jwks.json",
            get(move || async move { Json(keys) }),
        );
        Self {
            private,
            address: serve(router).await,
        }
    }

    /// A good token of a customer.
    pub fn token(&self, user_id: &str) -> String {
        self.token_as(user_id, "customer")
    }

    /// A good token with a role.
    pub fn token_as(&self, user_id: &str, role: &str) -> String {
        let now = shop_kit::clock::WallClock::default().unix_ms() as u64 / 1000;
        let claims = Claims {
            sub: user_id.to_owned(),
            role: role.to_owned(),
            email: format!("{user_id}@shop.example"),
            iat: now,
            exp: now + 600,
            iss: ISSUER.to_owned(),
        };
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(KID.to_owned());
        encode(&header, &claims, &self.private).unwrap()
    }
}

/// A request to a router, put together a piece at a time.
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
    /// Any method.
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

    /// As whoever the token is of.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        self.header(header::AUTHORIZATION.as_str(), &format!("Bearer {token}"))
    }

    /// Under an idempotency key.
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

    /// Sends it; an empty body or one that is not JSON is `Null`.
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

/// What a problem is: the last part of its type.
pub fn slug(problem: &Value) -> &str {
    let kind = problem["type"].as_str().unwrap();
    kind.rsplit(':').next().unwrap()
}
