//! Spans to OpenTelemetry, log lines to standard error and, where asked, to OpenTelemetry as well.
//!
//! Traces leave the process by OTLP when `OTEL_EXPORTER_OTLP_ENDPOINT` names a receiver. Without one, contexts are
//! still made and passed on, so that a problem's trace id can be found in every service's log.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::logs::JsonLine;
use super::otlp_logs;
pub use super::otlp_logs::OtlpLogs;

/// What the telemetry of a process needs to know.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// `service.name`.
    pub service_name: String,
    /// `service.instance.id`.
    pub instance_id: String,
    /// Where traces go: OTLP over gRPC, such as `http://127.0.0.1:4317`.
    pub otlp_endpoint: Option<String>,
    /// The share of new traces that is kept, 0 to 1. Whoever is called follows its caller's decision.
    pub sample: f64,
    /// A filter such as `info` or `shop_order=debug`.
    pub log_filter: String,
    /// Where log lines go besides standard error.
    pub otlp_logs: Option<OtlpLogs>,
}

/// Ends the telemetry of the process: what is still buffered goes out.
pub struct Telemetry {
    provider: SdkTracerProvider,
    logs: Option<SdkLoggerProvider>,
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The endpoint is not one.
    #[error(
        "the trace endpoint `{0}` cannot be used: {1}; set OTEL_EXPORTER_OTLP_ENDPOINT to a URL such as http://127.0.0.1:4317"
    )]
    Endpoint(String, String),
    /// The logs' endpoint is not one.
    #[error(
        "the endpoint for logs `{0}` cannot be used: {1}; set OTEL_EXPORTER_OTLP_LOGS_ENDPOINT to a URL such as http://127.0.0.1:4317, or http://127.0.0.1:3100/otlp/v1/logs with OTEL_EXPORTER_OTLP_LOGS_PROTOCOL=http/protobuf"
    )]
    Logs(String, String),
    /// The filter is not one.
    #[error(
        "the log filter `{0}` cannot be used: {1}; write one such as `info` or `shop_order=debug,info`"
    )]
    Filter(String, String),
}

impl Telemetry {
    /// Sets up spans and logs for this process. To be called once, from within a tokio runtime.
    ///
    /// # Errors
    /// An endpoint or a filter that cannot be used.
    pub fn start(config: &TelemetryConfig) -> Result<Self, TelemetryError> {
        let resource = Resource::builder()
            .with_service_name(config.service_name.clone())
            .with_attributes([
                KeyValue::new("service.namespace", "doorbuster"),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.instance.id", config.instance_id.clone()),
            ])
            .build();
        let builder = SdkTracerProvider::builder().with_resource(resource.clone());
        let provider = match &config.otlp_endpoint {
            Some(endpoint) => {
                let exporter = opentelemetry_otlp::SpanExporter::builder()
                    .with_tonic()
                    .with_endpoint(endpoint)
                    .with_timeout(Duration::from_secs(3))
                    .build()
                    .map_err(|e| TelemetryError::Endpoint(endpoint.clone(), e.to_string()))?;
                builder
                    .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
                        config.sample,
                    ))))
                    .with_batch_exporter(exporter)
                    .build()
            }
            None => builder.with_sampler(Sampler::AlwaysOff).build(),
        };
        let filter = || {
            EnvFilter::try_new(&config.log_filter)
                .map_err(|e| TelemetryError::Filter(config.log_filter.clone(), e.to_string()))
        };
        let lines = tracing_subscriber::fmt::layer()
            .event_format(JsonLine)
            .with_writer(std::io::stderr)
            .with_filter(filter()?);
        let logs = config.otlp_logs.as_ref();
        let logs = logs
            .map(|to| otlp_logs::provider(to, resource))
            .transpose()?;
        // Without what the libraries say: some of them are what sends the records, and would have more to say with each.
        let ours = filter_fn(|m| m.target().starts_with("shop_"));
        let records = match &logs {
            Some(logs) => {
                let bridge = OpenTelemetryTracingBridge::new(logs);
                Some(bridge.with_filter(filter()?.and(ours)))
            }
            None => None,
        };
        // Spans are the kit's and the services' own; what libraries trace is not part of an order's way.
        let spans = tracing_opentelemetry::layer()
            .with_location(false)
            .with_threads(false)
            .with_tracer(provider.tracer("doorbuster"))
            .with_filter(filter_fn(|m| {
                m.is_span() && m.target().starts_with("shop_")
            }));
        // A second start in one process (tests) keeps the first subscriber.
        let _ = tracing_subscriber::registry()
            .with(spans)
            .with(lines)
            .with(records)
            .try_init();
        Ok(Self { provider, logs })
    }

    /// Sends what is still buffered, within the exporter's own time limit.
    pub fn finish(self) {
        if let Err(e) = self.provider.shutdown() {
            tracing::debug!(error = %e, "the last traces could not be sent");
        }
        if let Some(Err(e)) = self.logs.map(|logs| logs.shutdown()) {
            tracing::debug!(error = %e, "the last log lines could not be sent");
        }
    }
}

/// The context of what is being done now, to be stored with what will be done about it later.
pub fn current_context() -> opentelemetry::Context {
    tracing::Span::current().context()
}

/// The id of the current trace, as 32 hex digits; where asked so, only when the trace is kept.
pub fn current_trace_id(sampled_only: bool) -> Option<String> {
    // What a span makes current when it is entered. To ask the span itself would take its lock for each figure.
    opentelemetry::Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        let wanted = span.is_valid() && (!sampled_only || span.is_sampled());
        wanted.then(|| span.trace_id().to_string())
    })
}
