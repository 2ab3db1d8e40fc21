//! What the tests of several services share: a configuration with a database, callers with tokens, peers on real
//! sockets, events, metrics pages, waiting, and the check of a service's document.
//!
//! Only tests use it, so it panics where a test would.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod ask;
mod config;
mod database;
mod document;
mod event;
mod identity;
mod nats;
mod scrape;
mod socket;
mod spans;
mod wait;

pub use ask::{Ask, ask_get, ask_post, slug};
pub use config::{KEY, config};
pub use document::check_document;
pub use event::ConfirmedOrder;
pub use identity::Identity;
pub use nats::nats;
pub use scrape::{Metric, Page, Sample, metric};
pub use socket::{connect, exchange, serve};
pub use spans::CollectedSpans;
pub use wait::until;
