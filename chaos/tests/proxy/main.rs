//! The fault proxy over real sockets: what its toxics do to a connection, whom they touch, how they end, and that its API
//! is Toxiproxy's. When a chunk may go is tested exactly, and without a clock, beside the code that decides it.

#![allow(
    clippy::unwrap_used,
    reason = "test code throughout; the lint's own exception knows only #[test] functions"
)]

mod api;
mod house;
mod life;
mod share;
mod toxics;
