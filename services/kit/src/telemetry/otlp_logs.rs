//! Log lines to whoever keeps the logs of all services, by OTLP. They are written to standard error all the same.
//!
//! Records leave in batches from a thread of the SDK's own, which is not one of the runtime's. So the HTTP client hands
//! each request over to the runtime and waits for what comes of it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{LogExporter, Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use tokio::runtime::Handle;

use super::tracing::TelemetryError;
use crate::client::{Http, http};

/// How long a batch may take. What cannot be sent is lost; it is in the log file.
const PATIENCE: Duration = Duration::from_secs(3);
/// The most of a receiver's answer that is read.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Where log records go, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtlpLogs {
    /// For gRPC the receiver, such as `http://127.0.0.1:4317`; for HTTP the whole of the path, such as
    /// `http://127.0.0.1:3100/otlp/v1/logs`.
    pub endpoint: String,
    /// Protobuf over HTTP, instead of gRPC.
    pub http: bool,
}

/// Sends log records there. To be called within the runtime that will send them.
pub(super) fn provider(
    config: &OtlpLogs,
    resource: Resource,
) -> Result<SdkLoggerProvider, TelemetryError> {
    let builder = LogExporter::builder();
    let exporter = if config.http {
        let client = OnRuntime {
            http: http(),
            runtime: Handle::current(),
        };
        builder
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&config.endpoint)
            .with_timeout(PATIENCE)
            .build()
    } else {
        builder
            .with_tonic()
            .with_endpoint(&config.endpoint)
            .with_timeout(PATIENCE)
            .build()
    };
    let exporter =
        exporter.map_err(|e| TelemetryError::Logs(config.endpoint.clone(), e.to_string()))?;
    Ok(SdkLoggerProvider::builder()
        .with_resource(resource)
        .with_batch_exporter(exporter)
        .build())
}

/// A client whose requests are made by the runtime, whichever thread asks for them.
struct OnRuntime {
    http: Http,
    runtime: Handle,
}

impl fmt::Debug for OnRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnRuntime").finish_non_exhaustive()
    }
}

impl HttpClient for OnRuntime {
    fn send_bytes<'life0, 'async_trait>(
        &'life0 self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let sending = send(self.http.clone(), request);
        // Made within the task: outside of a runtime there are no timers.
        let sent = self
            .runtime
            .spawn(async move { tokio::time::timeout(PATIENCE, sending).await });
        Box::pin(async move { sent.await?? })
    }
}

async fn send(http: Http, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let answer = http.request(request.map(Full::new)).await?;
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await?;
    Ok(Response::from_parts(head, body.to_bytes()))
}
