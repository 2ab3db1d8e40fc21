//! The command as its users know it: run as a process, judged by exit code, output and what it leaves behind.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod audit;
mod dashboards;
mod docker;
mod doors;
mod experiments;
mod faults;
mod harness;
mod health;
mod load;
mod mistakes;
mod otlp;
mod paths;
mod processes;
mod resources;
mod runs;
mod strangers;
mod telemetry;
mod traces;
