//! Why telemetry could not be started.

/// A setting of the telemetry that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The endpoint for traces.
    #[error(
        "the trace endpoint `{0}` cannot be used: {1}; set OTEL_EXPORTER_OTLP_ENDPOINT to a URL such as http://127.0.0.1:4317"
    )]
    Endpoint(String, String),
    /// The endpoint for logs.
    #[error(
        "the endpoint for logs `{0}` cannot be used: {1}; set OTEL_EXPORTER_OTLP_LOGS_ENDPOINT to a URL such as http://127.0.0.1:4317, or http://127.0.0.1:3100/otlp/v1/logs with OTEL_EXPORTER_OTLP_LOGS_PROTOCOL=http/protobuf"
    )]
    Logs(String, String),
    /// The log filter.
    #[error(
        "the log filter `{0}` cannot be used: {1}; write one such as `info` or `shop_order=debug,info`"
    )]
    Filter(String, String),
}
