//! Request faults over real sockets: what a client sees, what is counted, and that faults end.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod aim;
mod inbound;
mod outbound;
mod target;

use std::time::Duration;

use shop_contract::faults::{Distribution, FaultEffect, FaultOrder, MAX_TTL_MS, Only};
use shop_kit::Kit;
use shop_testkit::metric;

/// A fault named `fault` that applies to every request and lasts longer than any test.
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

/// The hits of the latest fault, active or ended.
fn hits(kit: &Kit) -> u64 {
    let states = kit.faults().states();
    let last = states.active.last().or(states.ended.last());
    last.unwrap().hits
}

/// The hits of the only fault in the metrics.
fn hits_in_metrics(kit: &Kit) -> u64 {
    let page = kit.metrics().render();
    metric("chaos_fault_hits_total").value_in(&page) as u64
}

/// Whether the only fault is active in the metrics. Reading the metrics ends no fault, so only its timer can have ended it.
fn is_active_in_metrics(kit: &Kit) -> bool {
    let page = kit.metrics().render();
    metric("chaos_fault_active").value_in(&page) != 0.0
}
