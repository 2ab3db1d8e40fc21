//! Small HTTP calls of the harness to the shop's admin listeners.

use std::fmt::Display;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// The largest answer that is read: an audit of a long run has some ten megabytes.
const MAX_BYTES: usize = 512 * 1024 * 1024;

/// A client for admin listeners. Cloning shares its connections.
#[derive(Clone)]
pub(crate) struct Http {
    client: Client<HttpConnector, Empty<Bytes>>,
    token: Option<String>,
}

impl Http {
    /// To be made within a runtime.
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(Duration::from_millis(500)));
        Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            token: None,
        }
    }

    /// Shows this bearer token with each call; an empty one is none.
    #[must_use]
    pub(crate) fn with_token(mut self, token: Option<String>) -> Self {
        self.token = token.filter(|token| !token.is_empty());
        self
    }

    /// The text at a path of `host:port`, within a time limit.
    ///
    /// # Errors
    /// No answer, or one that is not 200.
    pub(crate) async fn get(
        &self,
        address: impl Display,
        path: &str,
        limit: Duration,
    ) -> Result<String> {
        let work = async {
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
        tokio::time::timeout(limit, work)
            .await
            .with_context(|| format!("{address}{path} did not answer in {limit:?}"))?
    }
}
