//! Traces, metrics and logs of one process.

pub mod error;
pub mod logs;
pub mod metrics;
pub mod names;
mod otlp_logs;
mod process;
pub mod propagation;
pub(crate) mod resource_metrics;
pub mod sampler;
pub mod scrape;
mod throttle;
pub mod trace_context;
pub mod tracing;
pub(crate) mod urls;
