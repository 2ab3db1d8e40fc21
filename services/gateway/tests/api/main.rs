//! The gateway as its clients see it.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod document;
mod forwarding;
mod limits;
mod page;
mod request;
mod wire;
