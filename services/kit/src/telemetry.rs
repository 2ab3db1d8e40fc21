//! Traces, metrics and logs of one process.

pub mod metrics;
pub mod names;
pub mod propagation;
pub mod tracing;
