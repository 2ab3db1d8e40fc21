//! Spans to OpenTelemetry, log lines to standard error and, where asked, to OpenTelemetry as well.
//!
//! Traces leave the process by OTLP when `OTEL_EXPORTER_OTLP_ENDPOINT` names a receiver. Without one, contexts are
//! still made and passed on, so that a problem's trace id can be found in every service's log.
//!
//! Which traces are kept is [`super::sampler`]'s business. In one that is not, the spans below the request's own are not
//! even made: nobody would see them, and they are most of what tracing costs.

use std::time::Duration;

use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::sync::oneshot::error::RecvError;
use tokio::sync::oneshot::{self, Receiver};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::{FilterExt, LevelFilter, dynamic_filter_fn, filter_fn};
use tracing_subscriber::layer::{Filter, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::logs::JsonLine;
use super::otlp_logs;
pub use super::otlp_logs::OtlpLogs;
use super::sampler::{RootSampler, Sampling, Started};
use super::sparingly::Sparingly;

/// How long the end of a process waits for what is still buffered to be sent: traces and log lines each, at once. Less
/// than two seconds, since whoever stops a service waits for it.
const FLUSH: Duration = Duration::from_millis(1500);

/// What the telemetry of a process needs to know.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// `service.name`.
    pub service_name: String,
    /// `service.instance.id`.
    pub instance_id: String,
    /// Where traces go: OTLP over gRPC, such as `http://127.0.0.1:4317`.
    pub otlp_endpoint: Option<String>,
    /// Which new traces are kept. Whoever is called follows its caller's decision.
    pub sampling: Sampling,
    /// Is told what the sampler decides.
    pub started: Started,
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
        let resource = resource(config);
        let builder = SdkTracerProvider::builder().with_resource(resource.clone());
        let sampler = |sampling| RootSampler::new(sampling, config.started.clone());
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
            // Strangers who ask to be kept are refused, as they would otherwise be followed for nobody.
            None => builder.with_sampler(sampler(config.sampling.off())).build(),
        };
        let lines = tracing_subscriber::fmt::layer()
            .event_format(JsonLine)
            .with_writer(std::io::stderr)
            .with_filter(events(config)?.and(Sparingly::default()));
        let logs = config.otlp_logs.as_ref();
        let logs = logs
            .map(|to| otlp_logs::provider(to, resource))
            .transpose()?;
        // Without what the libraries say: some of them are what sends the records, and would have more to say with each.
        let ours =
            filter_fn(|m| m.target().starts_with("shop_")).with_max_level_hint(LevelFilter::TRACE);
        let records = match &logs {
            Some(logs) => {
                let bridge = OpenTelemetryTracingBridge::new(logs);
                Some(bridge.with_filter(events(config)?.and(ours)))
            }
            None => None,
        };
        // A second start in one process (tests) keeps the first subscriber.
        let _ = tracing_subscriber::registry()
            .with(spans(&provider))
            .with(lines)
            .with(records)
            .try_init();
        Ok(Self { provider, logs })
    }

    /// Sends what is still buffered, for a second and a half at most.
    ///
    /// Both wait for their receivers, so each has a thread; and not one of the runtime's, which are few and are needed
    /// for the sending.
    pub async fn finish(self) {
        let Self { provider, logs } = self;
        let traces = on_a_thread(move || provider.shutdown_with_timeout(FLUSH));
        let logs = logs.map(|logs| on_a_thread(move || logs.shutdown_with_timeout(FLUSH)));
        told("the last traces could not be sent", traces.await);
        if let Some(logs) = logs {
            told("the last log lines could not be sent", logs.await);
        }
    }
}

/// What becomes of work on a thread of its own.
fn on_a_thread(work: impl FnOnce() -> OTelSdkResult + Send + 'static) -> Receiver<OTelSdkResult> {
    let (done, outcome) = oneshot::channel();
    // Where nobody waits any more, nobody needs to know.
    std::thread::spawn(move || done.send(work()).ok());
    outcome
}

/// A thread that panicked has said so itself.
fn told(what: &'static str, outcome: Result<OTelSdkResult, RecvError>) {
    if let Ok(Err(e)) = outcome {
        tracing::warn!(error = %e, "{what}");
    }
}

/// What is said, as far as the settings ask for it. Without its hint of a level every `trace!` of every library would be
/// asked about; and no line shows a span, so none is to be written out at its beginning.
fn events<S>(config: &TelemetryConfig) -> Result<impl Filter<S> + use<S>, TelemetryError> {
    let events = filter_fn(|m| m.is_event()).with_max_level_hint(LevelFilter::TRACE);
    EnvFilter::try_new(&config.log_filter)
        .map(|filter| filter.and(events))
        .map_err(|e| TelemetryError::Filter(config.log_filter.clone(), e.to_string()))
}

/// What makes spans. They are the kit's and the services' own, for what libraries trace is no part of an order's way, and
/// below a request whose trace is not kept there are none.
///
/// A number is to be recorded as an `i64`: what becomes of the other integers is text.
pub fn spans<S>(provider: &SdkTracerProvider) -> impl Layer<S>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
{
    let kept =
        dynamic_filter_fn(|m, _| m.is_span() && m.target().starts_with("shop_") && !is_dropped());
    tracing_opentelemetry::layer()
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_tracer(provider.tracer("doorbuster"))
        .with_filter(kept.with_max_level_hint(LevelFilter::INFO))
}

/// Who sends: the attributes of every trace. What `OTEL_RESOURCE_ATTRIBUTES` says comes with them, such as
/// `deployment.environment.name=staging`; name, version and instance are ours to say, or traces and metrics of one process
/// would not be found together.
pub fn resource(config: &TelemetryConfig) -> Resource {
    let told = Resource::builder().build();
    let namespace = opentelemetry::Key::from_static_str("service.namespace");
    let namespace = told.get(&namespace).unwrap_or_else(|| "doorbuster".into());
    Resource::builder()
        .with_service_name(config.service_name.clone())
        .with_attributes([
            KeyValue::new("service.namespace", namespace),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", config.instance_id.clone()),
        ])
        .build()
}

/// Whether what is being done now belongs to a trace that is not kept.
fn is_dropped() -> bool {
    Context::map_current(|context| {
        context.has_active_span() && !context.span().span_context().is_sampled()
    })
}

/// The context of what is being done now, to be sent along or stored with what will be done about it later.
///
/// It is OpenTelemetry's own and not that of the current `tracing` span, which may be one that was not made because its
/// trace is not kept.
pub fn current_context() -> Context {
    Context::current()
}

/// The context of a span that may not have been made, for its trace is not kept: then of what is being done now.
pub(crate) fn context_of(span: &tracing::Span) -> Context {
    let context = span.context();
    if context.has_active_span() {
        context
    } else {
        current_context()
    }
}

/// The id of the current trace, as 32 hex digits; where asked so, only when the trace is kept.
pub fn current_trace_id(sampled_only: bool) -> Option<String> {
    Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        (span.is_valid() && (!sampled_only || span.is_sampled()))
            .then(|| span.trace_id().to_string())
    })
}
