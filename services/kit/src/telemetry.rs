//! Traces, metrics and logs of one process.

pub mod metrics;
pub mod names;
pub mod propagation;
pub mod sampler;
pub mod tracing;
pub(crate) mod urls;
