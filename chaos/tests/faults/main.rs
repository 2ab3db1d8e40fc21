//! Faults from the scenario's text to the row in the record. `target` fakes the admin endpoint of a service on a real
//! socket, and `shop` fakes the shop backend.

#![allow(
    clippy::unwrap_used,
    reason = "test code throughout; the lint itself exempts only #[test] functions"
)]

mod abort;
mod chain;
mod kill;
mod path;
mod process;
mod schedule;
mod service;
mod shop;
mod shrink;
mod spec;
mod storm;
mod target;
mod timing;
