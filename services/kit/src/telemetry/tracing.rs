//! Sets up spans and log lines: spans go to OpenTelemetry, log lines to standard error and, optionally, to OpenTelemetry.
//!
//! Traces are exported by OTLP if an endpoint is configured. Without one, contexts are still created and passed on, so that
//! the trace id of a problem document is found in every service's log.
//!
//! [`super::sampler`] decides which traces are sampled. In an unsampled trace, the spans below the request's own are not
//! created: they are most of the cost of tracing, and nobody would see them.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::sync::oneshot::error::RecvError;
use tokio::sync::oneshot::{self, Receiver};
use tracing_subscriber::filter::{FilterExt, LevelFilter, dynamic_filter_fn, filter_fn};
use tracing_subscriber::layer::{Filter, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::error::TelemetryError;
use super::logs::JsonLine;
use super::otlp_logs;
pub use super::otlp_logs::OtlpLogs;
use super::sampler::{RootSampler, SamplerCounts, Sampling};
use super::throttle::OtelLogThrottle;
use super::trace_context::is_unsampled;

/// The limit for sending buffered traces and log lines at the end of the process, both at the same time. Below two seconds,
/// because the supervisor waits for it.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(1500);

/// The settings of a process's telemetry.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// `service.name`.
    pub service_name: String,
    /// `service.instance.id`.
    pub instance_id: String,
    /// The receiver of traces: OTLP over gRPC, such as `http://127.0.0.1:4317`.
    pub otlp_endpoint: Option<String>,
    /// Which new traces are sampled. A called service follows its caller's decision.
    pub sampling: Sampling,
    /// Counts what the sampler decides.
    pub sampler_counts: SamplerCounts,
    /// A filter such as `info` or `shop_order=debug`.
    pub log_filter: String,
    /// The receiver of log lines, besides standard error.
    pub otlp_logs: Option<OtlpLogs>,
}

/// The running telemetry of the process.
pub struct Telemetry {
    provider: SdkTracerProvider,
    logs: Option<SdkLoggerProvider>,
}

impl Telemetry {
    /// Starts the telemetry of this process. Call it once, within a tokio runtime.
    ///
    /// # Errors
    /// An endpoint or a filter that cannot be used.
    pub fn start(config: &TelemetryConfig) -> Result<Self, TelemetryError> {
        let resource = resource(config);
        let builder = SdkTracerProvider::builder().with_resource(resource.clone());
        let sampler = |sampling| RootSampler::new(sampling, config.sampler_counts.clone());
        let provider = match &config.otlp_endpoint {
            Some(endpoint) => {
                let exporter = opentelemetry_otlp::SpanExporter::builder()
                    .with_tonic()
                    .with_endpoint(endpoint)
                    .with_timeout(Duration::from_secs(3))
                    .build()
                    .map_err(|e| TelemetryError::Endpoint(endpoint.clone(), e.to_string()))?;
                builder
                    .with_sampler(sampler(config.sampling))
                    .with_batch_exporter(exporter)
                    .build()
            }
            // No receiver, so nothing is sampled, not even what external callers ask for.
            None => builder.with_sampler(sampler(config.sampling.off())).build(),
        };
        let lines = tracing_subscriber::fmt::layer()
            .event_format(JsonLine)
            .with_writer(std::io::stderr)
            .with_filter(events(config)?.and(OtelLogThrottle::default()));
        let logs = config.otlp_logs.as_ref();
        let logs = logs
            .map(|to| otlp_logs::provider(to, resource))
            .transpose()?;
        // Only our own records are exported: the libraries that send them would log more with each record.
        let own =
            filter_fn(|m| m.target().starts_with("shop_")).with_max_level_hint(LevelFilter::TRACE);
        let records = match &logs {
            Some(logs) => {
                let bridge = OpenTelemetryTracingBridge::new(logs);
                Some(bridge.with_filter(events(config)?.and(own)))
            }
            None => None,
        };
        // A second start in one process (in tests) keeps the first subscriber.
        let _ = tracing_subscriber::registry()
            .with(spans(&provider))
            .with(lines)
            .with(records)
            .try_init();
        Ok(Self { provider, logs })
    }

    /// Sends what is buffered, for at most 1.5 s.
    ///
    /// Both shutdowns block, so each runs on a thread of its own: the runtime has few threads, and sending needs them.
    pub async fn finish(self) {
        let Self { provider, logs } = self;
        let traces = on_a_thread(move || provider.shutdown_with_timeout(FLUSH_TIMEOUT));
        let logs = logs.map(|logs| on_a_thread(move || logs.shutdown_with_timeout(FLUSH_TIMEOUT)));
        warn_on_error("the last traces could not be sent", traces.await);
        if let Some(logs) = logs {
            warn_on_error("the last log lines could not be sent", logs.await);
        }
    }
}

/// Runs blocking work on a new thread.
fn on_a_thread(work: impl FnOnce() -> OTelSdkResult + Send + 'static) -> Receiver<OTelSdkResult> {
    let (tx, rx) = oneshot::channel();
    // The receiver may be gone already; then the result is not needed.
    std::thread::spawn(move || tx.send(work()).ok());
    rx
}

/// Logs a failed shutdown. A panic has been logged by its thread.
fn warn_on_error(what: &'static str, result: Result<OTelSdkResult, RecvError>) {
    if let Ok(Err(e)) = result {
        tracing::warn!(error = %e, "{what}");
    }
}

/// The filter for events at the configured levels. The level hint keeps `trace!` in libraries cheap. Spans are left out,
/// because no line shows one.
fn events<S>(config: &TelemetryConfig) -> Result<impl Filter<S> + use<S>, TelemetryError> {
    let events = filter_fn(|m| m.is_event()).with_max_level_hint(LevelFilter::TRACE);
    EnvFilter::try_new(&config.log_filter)
        .map(|filter| filter.and(events))
        .map_err(|e| TelemetryError::Filter(config.log_filter.clone(), e.to_string()))
}

/// The layer that creates spans: those of the kit and the services, not of libraries, and none below a request whose trace is
/// not sampled.
///
/// Record numbers as `i64`: other integers are exported as text.
pub fn spans<S>(provider: &SdkTracerProvider) -> impl Layer<S>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
{
    let sampled =
        dynamic_filter_fn(|m, _| m.is_span() && m.target().starts_with("shop_") && !is_unsampled());
    tracing_opentelemetry::layer()
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_tracer(provider.tracer("doorbuster"))
        .with_filter(sampled.with_max_level_hint(LevelFilter::INFO))
}

/// The resource attributes of every trace and log record. The SDK adds those of `OTEL_RESOURCE_ATTRIBUTES`, such as
/// `deployment.environment.name=staging`. Name, version and instance are set here, so that traces and metrics of one process
/// match.
pub fn resource(config: &TelemetryConfig) -> Resource {
    let from_environment = Resource::builder().build();
    let namespace = opentelemetry::Key::from_static_str("service.namespace");
    let namespace = from_environment
        .get(&namespace)
        .unwrap_or_else(|| "doorbuster".into());
    Resource::builder()
        .with_service_name(config.service_name.clone())
        .with_attributes([
            KeyValue::new("service.namespace", namespace),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", config.instance_id.clone()),
        ])
        .build()
}
