//! Writes faults as a scenario, for generated scenarios such as the fewest faults of a storm. [`read`](super::read) gives
//! the same faults back.

use std::time::Duration;

use shop_contract::faults::FaultEffect;
use syntax::units::show_duration;

use super::values::DISTRIBUTIONS;
use crate::fault::{Begin, Fault, FaultKind, ProcessFault, ServiceFault};
use crate::path::{PathEffect, PathFault};

/// The `faults:` of a scenario, one on each line.
pub fn write_faults(faults: &[Fault]) -> String {
    if faults.is_empty() {
        return "faults: []\n".to_owned();
    }
    let lines = faults.iter().map(|f| format!("  - {}\n", write_fault(f)));
    format!("faults:\n{}", lines.collect::<String>())
}

/// One fault, on one line.
pub fn write_fault(fault: &Fault) -> String {
    let mut keys = vec![("name", fault.name.clone())];
    let wait = match &fault.begins {
        Begin::At(at) => {
            keys.push(("at", show_duration(*at)));
            Duration::ZERO
        }
        Begin::After { fault, wait } => {
            keys.push(("after", fault.clone()));
            *wait
        }
        Begin::When { breaker, wait } => {
            keys.push(("when", format!("breaker {breaker}")));
            *wait
        }
    };
    if !wait.is_zero() {
        keys.push(("wait", show_duration(wait)));
    }
    if let Some(lasts) = fault.lasts {
        keys.push(("for", show_duration(lasts)));
    }
    keys.push(("target", fault.target.to_string()));
    keys.push(("kind", fault.kind.name().to_owned()));
    match &fault.kind {
        FaultKind::Process(ProcessFault::Kill { restart }) => {
            keys.push(("restart", show_duration(*restart)));
        }
        FaultKind::Process(ProcessFault::SlowStart { delay }) => {
            keys.push(("delay", show_duration(*delay)));
        }
        FaultKind::Process(ProcessFault::Pause | ProcessFault::Restart) => {}
        FaultKind::Service(fault) => service_fault(fault, &mut keys),
        FaultKind::Path(fault) => path_fault(fault, &mut keys),
    }
    let keys: Vec<String> = keys.into_iter().map(|(k, v)| format!("{k}: {v}")).collect();
    format!("{{ {} }}", keys.join(", "))
}

type Keys = Vec<(&'static str, String)>;

fn service_fault(fault: &ServiceFault, keys: &mut Keys) {
    effect(&fault.effect, keys);
    if fault.share != 1.0 {
        keys.push(("share", percent(fault.share)));
    }
    if let Some(route) = &fault.only.route {
        keys.push(("route", quoted(route)));
    }
    if let Some(caller) = fault.only.caller {
        keys.push(("caller", caller.name().to_owned()));
    }
    if let Some(shopper) = &fault.only.shopper {
        keys.push(("shopper", quoted(shopper)));
    }
    if let Some(shoppers) = fault.only.shoppers {
        keys.push(("shoppers", percent(shoppers)));
    }
}

fn path_fault(fault: &PathFault, keys: &mut Keys) {
    let us = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
    match fault.effect {
        PathEffect::Latency { delay, jitter } => delays(us(delay), us(jitter), keys),
        PathEffect::Bandwidth { kilobytes_per_s } => {
            let bytes = kilobytes_per_s.saturating_mul(1_000);
            keys.push(("rate", format!("{}/s", amount(bytes))));
        }
        PathEffect::Slicer {
            size,
            variation,
            delay,
        } => {
            keys.push(("size", amount(size)));
            if variation > 0 {
                keys.push(("variation", amount(variation)));
            }
            if !delay.is_zero() {
                keys.push(("delay", show_duration(delay)));
            }
        }
        PathEffect::SlowClose { delay } => keys.push(("delay", show_duration(delay))),
        PathEffect::Limit { bytes } => keys.push(("size", amount(bytes))),
        PathEffect::Reset | PathEffect::Timeout => {}
    }
    if fault.share != 1.0 {
        keys.push(("share", percent(fault.share)));
    }
    if fault.direction != fault.effect.default_direction() {
        keys.push(("direction", fault.direction.name().to_owned()));
    }
}

fn effect(effect: &FaultEffect, keys: &mut Keys) {
    match effect {
        FaultEffect::Latency {
            delay_us,
            jitter_us,
            distribution,
        } => {
            delays(*delay_us, *jitter_us, keys);
            // The first is the default.
            let others = DISTRIBUTIONS.iter().skip(1);
            for (name, _) in others.filter(|(_, d)| d == distribution) {
                keys.push(("distribution", (*name).to_owned()));
            }
        }
        FaultEffect::SlowDatabase {
            delay_us,
            jitter_us,
        } => delays(*delay_us, *jitter_us, keys),
        FaultEffect::Error { status } => keys.push(("status", status.to_string())),
        FaultEffect::SlowBody { bytes_per_s } => {
            keys.push(("rate", format!("{}/s", amount(*bytes_per_s))));
        }
        FaultEffect::Cpu { threads } => keys.push(("threads", threads.to_string())),
        FaultEffect::Memory { bytes } => keys.push(("size", amount(*bytes))),
        FaultEffect::LeakedConnections { left } => keys.push(("left", left.to_string())),
        FaultEffect::ClockSkew { by_ms } => {
            let sign = if *by_ms < 0 { "-" } else { "" };
            let by = Duration::from_millis(by_ms.unsigned_abs());
            keys.push(("by", format!("{sign}{}", show_duration(by))));
        }
        FaultEffect::Abort
        | FaultEffect::Hang
        | FaultEffect::Truncate
        | FaultEffect::Corrupt
        | FaultEffect::Refuse
        | FaultEffect::FailingDatabase
        | FaultEffect::LockedDatabase
        | FaultEffect::FullDisk => {}
    }
}

fn delays(delay_us: u64, jitter_us: u64, keys: &mut Keys) {
    keys.push(("delay", show_duration(Duration::from_micros(delay_us))));
    if jitter_us > 0 {
        keys.push(("jitter", show_duration(Duration::from_micros(jitter_us))));
    }
}

/// A share in percent. Nine digits hide the rounding error of the division by 100.
fn percent(share: f64) -> String {
    let digits = format!("{:.9}", share * 100.0);
    format!("{}%", digits.trim_end_matches('0').trim_end_matches('.'))
}

fn amount(bytes: u64) -> String {
    match bytes {
        _ if bytes.is_multiple_of(1_000_000) => format!("{}MB", bytes / 1_000_000),
        _ if bytes.is_multiple_of(1_000) => format!("{}KB", bytes / 1_000),
        _ => format!("{bytes}B"),
    }
}

/// In single quotes; in them YAML escapes only the quote itself.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
