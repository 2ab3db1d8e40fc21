//! The inventory as its callers see it: the real router over a real database. `shop` is what stands around it.

#![allow(
    clippy::unwrap_used,
    reason = "test code throughout; the lint's own exception knows only #[test] functions"
)]

mod audit;
mod events;
mod reservations;
mod restocking;
mod shop;
