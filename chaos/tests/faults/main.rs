//! Faults from the scenario's text to the row in the record. `target` and `shop` are stand-ins for a service's admin
//! endpoint (over a real socket) and for the supervisor.

#![allow(
    clippy::unwrap_used,
    reason = "test code throughout; the lint's own exception knows only #[test] functions"
)]

mod chain;
mod in_service;
mod kill;
mod path;
mod process;
mod safety;
mod schedule;
mod shop;
mod shrink;
mod spec;
mod storm;
mod target;
mod timing;
