//! The order service against stand-ins for cart, inventory and payment that fail as they are told.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod checkout;
mod document;
mod recovery;
mod world;
