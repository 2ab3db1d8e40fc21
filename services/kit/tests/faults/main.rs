//! Faults of requests between real sockets: what a caller meets, what is counted, and that it ends.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod aim;
mod inbound;
mod outbound;
mod target;

use std::time::{Duration, Instant};

use shop_contract::faults::{Distribution, FaultEffect, FaultOrder, MAX_TTL_MS, Only};
use shop_kit::Kit;

/// The longest that any condition may take to come about. Nothing waits for it when all is well.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until something holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A fault called `fault` that touches every request and lasts for longer than any test.
fn order(effect: FaultEffect) -> FaultOrder {
    FaultOrder {
        name: "fault".to_owned(),
        ttl_ms: MAX_TTL_MS,
        share: 1.0,
        seed: 7,
        only: Only::default(),
        effect,
    }
}

fn latency(delay: Duration) -> FaultEffect {
    FaultEffect::Latency {
        delay_us: delay.as_micros() as u64,
        jitter_us: 0,
        distribution: Distribution::Uniform,
    }
}

/// The hits of the fault that was injected last, in force or over.
fn hits(kit: &Kit) -> u64 {
    let states = kit.faults().states();
    let last = states.active.last().or(states.ended.last());
    last.unwrap().hits
}

/// The hits as figures show them.
fn shown_hits(kit: &Kit) -> u64 {
    let page = kit.metrics().render();
    let line = page
        .lines()
        .find(|l| l.starts_with("chaos_fault_hits_total{"));
    line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

/// Whether the figures show a fault in force. It is not asked for, so nothing but its time can have ended it.
fn is_shown_in_force(kit: &Kit) -> bool {
    let page = kit.metrics().render();
    let mut lines = page.lines();
    let line = lines.find(|l| l.starts_with("chaos_fault_active{"));
    !line.unwrap().ends_with(" 0.0")
}
