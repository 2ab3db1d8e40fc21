//! Events from the outbox of one service to the inbox of another: over HTTP and over NATS JetStream.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod both;
mod nats;
mod world;
