//! Tests of the load generator against a stub of the shop, and of a single shopper.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod failures;
mod measurement;
mod shopper;
mod stub;
