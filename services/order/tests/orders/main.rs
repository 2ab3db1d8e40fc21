//! The order service, with fake services for cart, inventory and payment that fail on demand.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod checkout;
mod document;
mod recovery;
mod shop;
