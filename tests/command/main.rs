//! Tests of the command as a process: exit codes, output and records.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod audit;
mod authorization;
mod dashboards;
mod docker;
mod experiments;
mod faults;
mod gateways;
mod harness;
mod health;
mod load;
mod mistakes;
mod otlp;
mod paths;
mod processes;
mod resources;
mod runs;
mod telemetry;
mod traces;
