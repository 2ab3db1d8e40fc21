//! A client of the `/faults` endpoint of admin listeners; see [`shop_contract::faults`].

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;
use shop_contract::faults::{FaultOrder, FaultState, FaultStates};

use crate::error::InjectError;

/// Listeners are on this machine or on its network, so a slower one is down.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// For one whole call. The endpoint does little work, but its process may be starved under load.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);
/// A hundred ended faults take about ten kilobytes, so a larger body is not from this endpoint.
const MAX_BODY_BYTES: usize = 1 << 20;
/// The longest reason taken from an error reply.
const MAX_REASON_CHARS: usize = 200;

/// Injects, lists and clears faults at admin endpoints. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AdminClient {
    http: Client<HttpConnector, Full<Bytes>>,
    token: Option<String>,
}

impl AdminClient {
    /// A client that sends `token`, if any, as a bearer token.
    pub fn new(token: Option<String>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        // No idle connections: targets are killed and restarted on the same port, and the first call to a new process
        // would fail on a connection to the old one.
        let http = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        Self { http, token }
    }

    /// Injects a fault. On success it is in force at the target.
    ///
    /// # Errors
    /// [`InjectError::Refused`] with 400 for an invalid time to live, with 409 for a name in use.
    pub async fn inject(
        &self,
        address: SocketAddr,
        order: &FaultOrder,
    ) -> Result<FaultState, InjectError> {
        let body = serde_json::to_vec(order).map_err(|e| InjectError::Protocol {
            address,
            reason: format!("the order cannot be written: {e}"),
        })?;
        self.call(address, Method::POST, "/faults", Some(body))
            .await
    }

    /// Lists the faults in force and those that have ended.
    ///
    /// # Errors
    /// When there is no reply, or one that breaks the contract.
    pub async fn list(&self, address: SocketAddr) -> Result<FaultStates, InjectError> {
        self.call(address, Method::GET, "/faults", None).await
    }

    /// Ends one fault and returns its final state.
    ///
    /// # Errors
    /// [`InjectError::Refused`] with 404 for an unknown fault.
    pub async fn clear(&self, address: SocketAddr, name: &str) -> Result<FaultState, InjectError> {
        self.call(address, Method::DELETE, &format!("/faults/{name}"), None)
            .await
    }

    /// Ends every fault.
    ///
    /// # Errors
    /// When there is no reply, or one that breaks the contract.
    pub async fn clear_all(&self, address: SocketAddr) -> Result<FaultStates, InjectError> {
        self.call(address, Method::DELETE, "/faults", None).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        address: SocketAddr,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<T, InjectError> {
        let request =
            self.request(address, method, path, body)
                .map_err(|e| InjectError::Protocol {
                    address,
                    reason: format!("the request for {path} is invalid: {e}"),
                })?;
        let (status, body) = tokio::time::timeout(CALL_TIMEOUT, self.exchange(request))
            .await
            .unwrap_or_else(|_| Err(format!("no reply within {} s", CALL_TIMEOUT.as_secs())))
            .map_err(|reason| InjectError::Unreachable { address, reason })?;
        if !status.is_success() {
            return Err(InjectError::Refused {
                address,
                status,
                reason: reason_in(&body),
            });
        }
        serde_json::from_slice(&body).map_err(|e| InjectError::Protocol {
            address,
            reason: e.to_string(),
        })
    }

    fn request(
        &self,
        address: SocketAddr,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{address}{path}"));
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        request.body(Full::from(body.unwrap_or_default()))
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), String> {
        let response = self
            .http
            .request(request)
            .await
            .map_err(|e| with_causes(&e))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_BODY_BYTES)
            .collect()
            .await
            .map_err(|e| with_causes(e.as_ref()))?;
        Ok((status, body.to_bytes()))
    }
}

/// The reason in an error reply: the detail or title of a problem (RFC 9457), else the whole text.
fn reason_in(body: &[u8]) -> String {
    let problem: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let detail = problem.as_ref().and_then(|p| {
        ["detail", "title"]
            .into_iter()
            .find_map(|key| p.get(key)?.as_str())
    });
    let text = match detail {
        Some(text) => text.to_owned(),
        None => String::from_utf8_lossy(body).trim().to_owned(),
    };
    if text.is_empty() {
        return "no reason given".to_owned();
    }
    text.chars().take(MAX_REASON_CHARS).collect()
}

/// An error with its causes. The text of hyper's error alone is only "client error".
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
