//! The HTTP client for the shop's admin listeners.

use std::fmt::Display;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// The size limit of a response. The audit page of a long run has some ten megabytes.
const MAX_BYTES: usize = 512 * 1024 * 1024;

/// A client for admin listeners. Clones share its connections.
#[derive(Clone)]
pub(crate) struct HttpClient {
    client: Client<HttpConnector, Empty<Bytes>>,
    token: Option<String>,
}

impl HttpClient {
    /// Must be called within a runtime.
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(Duration::from_millis(500)));
        Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            token: None,
        }
    }

    /// Sends this bearer token with each request. An empty token counts as none.
    #[must_use]
    pub(crate) fn with_token(mut self, token: Option<String>) -> Self {
        self.token = token.filter(|token| !token.is_empty());
        self
    }

    /// Gets the text at a path of `host:port`, within a time limit.
    ///
    /// # Errors
    /// No response in time, or a status other than 200.
    pub(crate) async fn get(
        &self,
        address: impl Display,
        path: &str,
        limit: Duration,
    ) -> Result<String> {
        let call = async {
            let mut request = http::Request::get(format!("http://{address}{path}"));
            if let Some(token) = &self.token {
                request = request.header(http::header::AUTHORIZATION, format!("Bearer {token}"));
            }
            let request = request.body(Empty::new())?;
            let response = self.client.request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_BYTES);
            let body = body
                .collect()
                .await
                .map_err(|e| anyhow::anyhow!("{e}"))?
                .to_bytes();
            if status != http::StatusCode::OK {
                bail!("{address}{path} answered {status}");
            }
            Ok(String::from_utf8_lossy(&body).into_owned())
        };
        tokio::time::timeout(limit, call)
            .await
            .with_context(|| format!("{address}{path} did not answer in {limit:?}"))?
    }
}
