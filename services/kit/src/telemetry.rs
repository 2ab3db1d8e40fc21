//! Traces, metrics and logs of one process.

pub mod logs;
pub mod metrics;
pub mod names;
mod otlp_logs;
mod process;
pub mod propagation;
pub mod sampler;
mod sparingly;
pub mod tracing;
pub(crate) mod urls;
pub(crate) mod vitals;
