//! The parameters of a storm's faults: for each kind a range in which it is felt by those who meet it, and survived by
//! a shop that is built for it.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use shop_contract::faults::{Distribution, FaultEffect, Only};

use crate::fault::{FaultKind, InService, ProcessFault};
use crate::path::{PathEffect, PathFault};

/// A whole number of milliseconds between two times, both included.
pub(super) fn between(rng: &mut ChaCha8Rng, least: Duration, most: Duration) -> Duration {
    let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    let (least, most) = (ms(least), ms(most));
    Duration::from_millis(rng.random_range(least..=most.max(least)))
}

/// A fault of a kind that lasts so long; the second is its `for`, where the kind has one.
pub(super) fn kind(
    rng: &mut ChaCha8Rng,
    name: &str,
    length: Duration,
) -> (FaultKind, Option<Duration>) {
    let process = match name {
        "kill" => ProcessFault::Kill { restart: length },
        "slow-start" => ProcessFault::SlowStart { delay: length },
        "restart" => ProcessFault::Restart,
        "pause" => return (FaultKind::Process(ProcessFault::Pause), Some(length)),
        "tcp-latency" | "tcp-reset" => {
            return (FaultKind::Path(on_path(rng, name)), Some(length));
        }
        _ => {
            let (effect, share) = effect(rng, name);
            let held = InService {
                effect,
                share,
                only: Only::default(),
            };
            return (FaultKind::InService(held), Some(length));
        }
    };
    (FaultKind::Process(process), None)
}

fn on_path(rng: &mut ChaCha8Rng, name: &str) -> PathFault {
    let share = f64::from(rng.random_range(20..=100)) / 100.0;
    let effect = if name == "tcp-reset" {
        PathEffect::Reset
    } else {
        let (delay_us, jitter_us) = delays(rng, 20, 300);
        PathEffect::Latency {
            delay: Duration::from_micros(delay_us),
            jitter: Duration::from_micros(jitter_us),
        }
    };
    PathFault {
        effect,
        share,
        direction: effect.usual_direction(),
    }
}

/// Effect and share.
fn effect(rng: &mut ChaCha8Rng, name: &str) -> (FaultEffect, f64) {
    let mut percent = |least: u32, most: u32| f64::from(rng.random_range(least..=most)) / 100.0;
    match name {
        "error" => {
            let share = percent(10, 50);
            let status = [500, 502, 503, 504][rng.random_range(0..4)];
            (FaultEffect::Error { status }, share)
        }
        "abort" => (FaultEffect::Abort, percent(10, 40)),
        "hang" => (FaultEffect::Hang, percent(10, 40)),
        "truncate" => (FaultEffect::Truncate, percent(10, 40)),
        "corrupt" => (FaultEffect::Corrupt, percent(10, 40)),
        "refuse" => (FaultEffect::Refuse, percent(20, 100)),
        "slow-body" => {
            let share = percent(20, 100);
            let bytes_per_s = 1_000 * rng.random_range(1..=50);
            (FaultEffect::SlowBody { bytes_per_s }, share)
        }
        "cpu" => {
            let threads = rng.random_range(1..=2);
            (FaultEffect::Cpu { threads }, 1.0)
        }
        "memory" => {
            let bytes = 1_000_000 * rng.random_range(20..=200);
            (FaultEffect::Memory { bytes }, 1.0)
        }
        "slow-database" => {
            let share = percent(20, 100);
            let (delay_us, jitter_us) = delays(rng, 10, 200);
            let effect = FaultEffect::SlowDatabase {
                delay_us,
                jitter_us,
            };
            (effect, share)
        }
        "failing-database" => (FaultEffect::FailingDatabase, percent(10, 50)),
        "locked-database" => (FaultEffect::LockedDatabase, 1.0),
        "full-disk" => (FaultEffect::FullDisk, 1.0),
        "leaked-connections" => (FaultEffect::LeakedConnections { left: 1 }, 1.0),
        "clock-skew" => {
            let by_ms = 1_000 * rng.random_range(1..=600);
            let back = rng.random_bool(0.5);
            let by_ms = if back { -by_ms } else { by_ms };
            (FaultEffect::ClockSkew { by_ms }, 1.0)
        }
        // Latency, and whatever has a row in the table but none here: that each has one, a test makes sure.
        _ => {
            let share = percent(20, 100);
            let (delay_us, jitter_us) = delays(rng, 50, 500);
            let distribution = match rng.random_range(0..3) {
                0 => Distribution::Uniform,
                1 => Distribution::Normal,
                _ => Distribution::Exponential,
            };
            let effect = FaultEffect::Latency {
                delay_us,
                jitter_us,
                distribution,
            };
            (effect, share)
        }
    }
}

/// A delay in whole milliseconds, and a jitter of up to half of it; both in microseconds.
fn delays(rng: &mut ChaCha8Rng, least_ms: u64, most_ms: u64) -> (u64, u64) {
    let delay_ms = rng.random_range(least_ms..=most_ms);
    let jitter_ms = rng.random_range(0..=delay_ms / 2);
    (delay_ms * 1_000, jitter_ms * 1_000)
}
