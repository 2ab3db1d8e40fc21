//! The crowd against a stand-in for the shop, and one shopper by itself.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod crowd;
mod failures;
mod shopper;
mod stub;
