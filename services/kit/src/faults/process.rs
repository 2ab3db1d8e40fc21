//! Faults of the process as a whole: its processors, its memory, its time of day.
//!
//! Requests that it serves meanwhile are counted by the server stack.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use shop_contract::faults::{FaultEffect, FaultOrder};

use super::{Doer, Effect, FaultRefused, Hits};
use crate::clock::WallClock;

/// More threads than a machine has processors only wait for each other.
const MOST_THREADS: u32 = 64;
/// How far a clock may be wrong: ten years. Beyond that a typing slip is more likely.
const MOST_SKEW_MS: u64 = 10 * 366 * 24 * 3_600_000;
/// The share of the memory that is free now which a fault leaves to everybody else on the machine.
const SPARED: u64 = 10;
/// Between two steps of a growing memory.
const STEP: Duration = Duration::from_millis(50);
/// Rounds of computing between two looks at whether it is over: some microseconds.
const ROUNDS: u32 = 4096;

/// Does what concerns the process as a whole.
pub(crate) struct OfProcess {
    clock: WallClock,
}

impl OfProcess {
    /// For the process whose time of day this is.
    pub(crate) fn new(clock: WallClock) -> Self {
        Self { clock }
    }
}

impl Doer for OfProcess {
    fn check(&self, order: &FaultOrder) -> Result<(), FaultRefused> {
        let invalid = |why: String| Err(FaultRefused::Invalid(why));
        if order.share < 1.0 {
            return invalid(format!(
                "kind `{}` touches the process as a whole, so its `share` can only be 1",
                order.effect.kind()
            ));
        }
        match order.effect {
            FaultEffect::Cpu { threads } if !(1..=MOST_THREADS).contains(&threads) => {
                invalid(format!("`threads` must be from 1 to {MOST_THREADS}"))
            }
            FaultEffect::Memory { bytes: 0 } => invalid("`bytes` must be above 0".to_owned()),
            FaultEffect::Memory { bytes } => match free_bytes() {
                Some(free) if bytes > free - free / SPARED => invalid(format!(
                    "`bytes` is {bytes}, and the machine has {free} free: it would be the system that fails, and \
                     not this service; ask for less than {}",
                    free - free / SPARED
                )),
                _ => Ok(()),
            },
            FaultEffect::ClockSkew { by_ms }
                if !(1..=MOST_SKEW_MS).contains(&by_ms.unsigned_abs()) =>
            {
                invalid("`by_ms` must be other than 0, and ten years at most".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn begin(&self, order: &FaultOrder, _: Hits) -> Effect {
        let lasts = Duration::from_millis(order.ttl_ms);
        match order.effect {
            FaultEffect::Cpu { threads } => Box::new(burn(threads)),
            FaultEffect::Memory { bytes } => Box::new(grow(bytes, lasts)),
            FaultEffect::ClockSkew { by_ms } => Box::new(self.clock.skew(by_ms)),
            // Not of the process: never asked of this doer.
            _ => Box::new(()),
        }
    }
}

/// Threads that work on something as long as this lives.
struct Threads {
    over: Arc<AtomicBool>,
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

impl Threads {
    fn none() -> Self {
        Self {
            over: Arc::default(),
        }
    }

    fn begin(&self, name: &str, work: impl FnOnce(&AtomicBool) + Send + 'static) {
        let over = self.over.clone();
        let begun = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work(&over));
        if let Err(e) = begun {
            tracing::warn!(error = %e, "a fault has a thread less");
        }
    }
}

/// Threads of the system and none of the runtime's: what they take from the service, its threads have to fight for.
fn burn(threads: u32) -> Threads {
    let all = Threads::none();
    for _ in 0..threads {
        all.begin("fault-cpu", |over| {
            let mut number = 1u32;
            while !over.load(Ordering::Relaxed) {
                for _ in 0..ROUNDS {
                    number = black_box(number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
                }
            }
        });
    }
    all
}

/// One piece of memory, reserved as a whole and touched bit by bit: only what was touched is really taken. As a whole
/// it also goes back to the system as a whole, which many small pieces need not.
fn grow(bytes: u64, lasts: Duration) -> Threads {
    let one = Threads::none();
    one.begin("fault-memory", move |over| {
        let started = Instant::now();
        let mut taken: Vec<u8> = Vec::new();
        let most = usize::try_from(bytes).unwrap_or(usize::MAX);
        if let Err(e) = taken.try_reserve_exact(most) {
            tracing::warn!(bytes, error = %e, "the memory for a fault cannot be had");
            return;
        }
        while !over.load(Ordering::Relaxed) {
            // Others grow as well, and have been promised memory that they have not touched yet.
            let now = match has_room() {
                true => due(most, started.elapsed(), lasts),
                false => 0,
            };
            // Not zeros, which a system might give without giving memory.
            taken.resize(now.max(taken.len()), 0xA5);
            black_box(&taken);
            std::thread::sleep(STEP);
        }
    });
    one
}

/// How much is to be taken by then: evenly more, until all of it is at the end.
fn due(most: usize, elapsed: Duration, lasts: Duration) -> usize {
    let share = elapsed.as_secs_f64() / lasts.as_secs_f64();
    ((most as f64 * share) as usize).min(most)
}

/// Memory that can be had without anybody else losing some; nothing where the system does not tell.
fn free_bytes() -> Option<u64> {
    told_bytes("MemAvailable:")
}

/// Whether more can be taken: as long as a tenth of all the memory is free.
fn has_room() -> bool {
    let all = free_bytes().zip(told_bytes("MemTotal:"));
    all.is_none_or(|(free, total)| free > total / SPARED)
}

fn told_bytes(key: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix(key))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_grows_evenly_to_what_was_asked() {
        let lasts = Duration::from_secs(10);
        let at = |s| due(1000, Duration::from_secs(s), lasts);
        assert_eq!(
            [at(0), at(1), at(5), at(10), at(11)],
            [0, 100, 500, 1000, 1000]
        );
    }
}
