//! The fault proxy on real sockets: the effects of toxics, the connections that they affect, how they end, and the API of
//! Toxiproxy. Exact timing is tested without a clock, in the unit tests of the pipe.

#![allow(
    clippy::unwrap_used,
    reason = "test code throughout; the lint itself exempts only #[test] functions"
)]

mod api;
mod fixture;
mod lifecycle;
mod share;
mod toxics;
