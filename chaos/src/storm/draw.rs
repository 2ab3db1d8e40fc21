//! The parameters of a storm's faults. Each kind has a range that has a visible effect and that a resilient shop
//! survives.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use shop_contract::faults::{Distribution, FaultEffect, Only};

use crate::fault::{FaultKind, ProcessFault, ServiceFault};
use crate::kinds::{Kind, PathKind, ProcessKind, ServiceKind};
use crate::path::{PathEffect, PathFault};

/// A whole number of milliseconds between two times, both included.
pub(super) fn between(rng: &mut ChaCha8Rng, least: Duration, most: Duration) -> Duration {
    let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    let (least, most) = (ms(least), ms(most));
    Duration::from_millis(rng.random_range(least..=most.max(least)))
}

/// A fault of a kind and of this length. The second value is its `for`, if the kind has one.
pub(super) fn kind(
    rng: &mut ChaCha8Rng,
    kind: Kind,
    length: Duration,
) -> (FaultKind, Option<Duration>) {
    match kind {
        Kind::Process(kind) => {
            let (fault, lasts) = match kind {
                ProcessKind::Kill => (ProcessFault::Kill { restart: length }, None),
                ProcessKind::SlowStart => (ProcessFault::SlowStart { delay: length }, None),
                ProcessKind::Restart => (ProcessFault::Restart, None),
                ProcessKind::Pause => (ProcessFault::Pause, Some(length)),
            };
            (FaultKind::Process(fault), lasts)
        }
        Kind::Path(kind) => (FaultKind::Path(path_fault(rng, kind)), Some(length)),
        Kind::Service(kind) => {
            let (effect, share) = effect(rng, kind);
            let fault = ServiceFault {
                effect,
                share,
                only: Only::default(),
            };
            (FaultKind::Service(fault), Some(length))
        }
    }
}

/// A reset or a latency; a storm [draws](super::draws) no other kinds of path fault.
fn path_fault(rng: &mut ChaCha8Rng, kind: PathKind) -> PathFault {
    let share = f64::from(rng.random_range(20..=100)) / 100.0;
    let effect = if kind == PathKind::Reset {
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
        direction: effect.default_direction(),
    }
}

/// Effect and share.
fn effect(rng: &mut ChaCha8Rng, kind: ServiceKind) -> (FaultEffect, f64) {
    let mut percent = |least: u32, most: u32| f64::from(rng.random_range(least..=most)) / 100.0;
    match kind {
        ServiceKind::Latency => {
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
        ServiceKind::Error => {
            let share = percent(10, 50);
            let status = [500, 502, 503, 504][rng.random_range(0..4)];
            (FaultEffect::Error { status }, share)
        }
        ServiceKind::Abort => (FaultEffect::Abort, percent(10, 40)),
        ServiceKind::Hang => (FaultEffect::Hang, percent(10, 40)),
        ServiceKind::Truncate => (FaultEffect::Truncate, percent(10, 40)),
        ServiceKind::Corrupt => (FaultEffect::Corrupt, percent(10, 40)),
        ServiceKind::Refuse => (FaultEffect::Refuse, percent(20, 100)),
        ServiceKind::SlowBody => {
            let share = percent(20, 100);
            let bytes_per_s = 1_000 * rng.random_range(1..=50);
            (FaultEffect::SlowBody { bytes_per_s }, share)
        }
        ServiceKind::Cpu => {
            let threads = rng.random_range(1..=2);
            (FaultEffect::Cpu { threads }, 1.0)
        }
        ServiceKind::Memory => {
            let bytes = 1_000_000 * rng.random_range(20..=200);
            (FaultEffect::Memory { bytes }, 1.0)
        }
        ServiceKind::SlowDatabase => {
            let share = percent(20, 100);
            let (delay_us, jitter_us) = delays(rng, 10, 200);
            let effect = FaultEffect::SlowDatabase {
                delay_us,
                jitter_us,
            };
            (effect, share)
        }
        ServiceKind::FailingDatabase => (FaultEffect::FailingDatabase, percent(10, 50)),
        ServiceKind::LockedDatabase => (FaultEffect::LockedDatabase, 1.0),
        ServiceKind::FullDisk => (FaultEffect::FullDisk, 1.0),
        ServiceKind::LeakedConnections => (FaultEffect::LeakedConnections { left: 1 }, 1.0),
        ServiceKind::ClockSkew => {
            let by_ms = 1_000 * rng.random_range(1..=600);
            let back = rng.random_bool(0.5);
            let by_ms = if back { -by_ms } else { by_ms };
            (FaultEffect::ClockSkew { by_ms }, 1.0)
        }
    }
}

/// A delay in whole milliseconds, and a jitter of up to half of it; both in microseconds.
fn delays(rng: &mut ChaCha8Rng, least_ms: u64, most_ms: u64) -> (u64, u64) {
    let delay_ms = rng.random_range(least_ms..=most_ms);
    let jitter_ms = rng.random_range(0..=delay_ms / 2);
    (delay_ms * 1_000, jitter_ms * 1_000)
}
