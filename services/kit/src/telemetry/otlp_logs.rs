//! Exports log records by OTLP, in addition to the lines on standard error.
//!
//! The SDK sends batches from its own thread, outside of the runtime. So the HTTP client runs each request on the runtime and
//! waits for the result.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use opentelemetry_http::HttpError;
use opentelemetry_otlp::{LogExporter, Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use tokio::runtime::Handle;

use super::error::TelemetryError;
use crate::client::connector::{HttpClient, http_client};

/// The limit for sending a batch. Records that cannot be sent are lost here, but they are in the log file.
const SEND_TIMEOUT: Duration = Duration::from_secs(3);
/// The most of a receiver's response that is read.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// The receiver of log records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtlpLogs {
    /// For gRPC the receiver, such as `http://127.0.0.1:4317`; for HTTP the full URL, such as
    /// `http://127.0.0.1:3100/otlp/v1/logs`.
    pub endpoint: String,
    /// Protobuf over HTTP instead of gRPC.
    pub http: bool,
}

/// A provider that sends log records to the receiver. Call it within the runtime that will send them.
pub(super) fn provider(
    config: &OtlpLogs,
    resource: Resource,
) -> Result<SdkLoggerProvider, TelemetryError> {
    let builder = LogExporter::builder();
    let exporter = if config.http {
        let client = OnRuntime {
            http: http_client(),
            runtime: Handle::current(),
        };
        builder
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&config.endpoint)
            .with_timeout(SEND_TIMEOUT)
            .build()
    } else {
        builder
            .with_tonic()
            .with_endpoint(&config.endpoint)
            .with_timeout(SEND_TIMEOUT)
            .build()
    };
    let exporter =
        exporter.map_err(|e| TelemetryError::Logs(config.endpoint.clone(), e.to_string()))?;
    Ok(SdkLoggerProvider::builder()
        .with_resource(resource)
        .with_batch_exporter(exporter)
        .build())
}

/// An HTTP client that sends on the runtime, whichever thread calls it.
struct OnRuntime {
    http: HttpClient,
    runtime: Handle,
}

impl fmt::Debug for OnRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnRuntime").finish_non_exhaustive()
    }
}

impl opentelemetry_http::HttpClient for OnRuntime {
    fn send_bytes<'life0, 'async_trait>(
        &'life0 self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let sending = send(self.http.clone(), request);
        // The timeout is created in the task: outside of a runtime there are no timers.
        let sent = self
            .runtime
            .spawn(async move { tokio::time::timeout(SEND_TIMEOUT, sending).await });
        Box::pin(async move { sent.await?? })
    }
}

async fn send(http: HttpClient, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let response = http.request(request.map(Full::new)).await?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, MAX_RESPONSE_BYTES).collect().await?;
    Ok(Response::from_parts(head, body.to_bytes()))
}
