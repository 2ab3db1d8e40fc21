//! Faults of the process as a whole: CPU, memory, time of day.
//!
//! The server stack counts the requests served meanwhile as hits.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use shop_contract::faults::{FaultEffect, FaultOrder};

use super::error::FaultRefused;
use super::hits::FaultHits;
use super::injector::{FaultGuard, FaultInjector};
use crate::clock::WallClock;

/// The most threads of a CPU fault: more than a machine has processors only wait for each other.
const MAX_THREADS: u32 = 64;
/// The most that a clock may be wrong: ten years. More is probably a typing error.
const MAX_SKEW_MS: u64 = 10 * 366 * 24 * 3_600_000;
/// A memory fault leaves one part in this many of the free memory to the rest of the machine.
const RESERVE_DIVISOR: u64 = 10;
/// The time between two steps of growing memory.
const STEP: Duration = Duration::from_millis(50);
/// Rounds of computing between two checks of whether the fault has ended: some microseconds.
const ROUNDS: u32 = 4096;

/// The injector of process faults.
pub(crate) struct ProcessFaults {
    clock: WallClock,
}

impl ProcessFaults {
    /// For the process with this clock.
    pub(crate) fn new(clock: WallClock) -> Self {
        Self { clock }
    }
}

impl FaultInjector for ProcessFaults {
    fn check(&self, order: &FaultOrder) -> Result<(), FaultRefused> {
        let invalid = |why: String| Err(FaultRefused::Invalid(why));
        if order.share < 1.0 {
            return invalid(format!(
                "kind `{}` touches the process as a whole, so its `share` can only be 1",
                order.effect.kind()
            ));
        }
        match order.effect {
            FaultEffect::Cpu { threads } if !(1..=MAX_THREADS).contains(&threads) => {
                invalid(format!("`threads` must be from 1 to {MAX_THREADS}"))
            }
            FaultEffect::Memory { bytes: 0 } => invalid("`bytes` must be above 0".to_owned()),
            FaultEffect::Memory { bytes } => match free_bytes() {
                Some(free) if bytes > free - free / RESERVE_DIVISOR => invalid(format!(
                    "`bytes` is {bytes}, and the machine has {free} free: it would be the system that fails, and \
                     not this service; ask for less than {}",
                    free - free / RESERVE_DIVISOR
                )),
                _ => Ok(()),
            },
            FaultEffect::ClockSkew { by_ms }
                if !(1..=MAX_SKEW_MS).contains(&by_ms.unsigned_abs()) =>
            {
                invalid("`by_ms` must be other than 0, and ten years at most".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn start(&self, order: &FaultOrder, _: FaultHits) -> FaultGuard {
        let lasts = Duration::from_millis(order.ttl_ms);
        match order.effect {
            FaultEffect::Cpu { threads } => Box::new(use_cpu(threads)),
            FaultEffect::Memory { bytes } => Box::new(use_memory(bytes, lasts)),
            FaultEffect::ClockSkew { by_ms } => Box::new(self.clock.skew(by_ms)),
            // Not a process fault: never given to this injector.
            _ => Box::new(()),
        }
    }
}

/// Threads that work until this is dropped.
struct Threads {
    stop: Arc<AtomicBool>,
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Threads {
    fn none() -> Self {
        Self {
            stop: Arc::default(),
        }
    }

    fn spawn(&self, name: &str, work: impl FnOnce(&AtomicBool) + Send + 'static) {
        let stop = self.stop.clone();
        let spawned = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work(&stop));
        if let Err(e) = spawned {
            tracing::warn!(error = %e, "a thread of a fault could not be started");
        }
    }
}

/// Keeps system threads busy, not the runtime's: the service's own threads compete with them for the CPU.
fn use_cpu(threads: u32) -> Threads {
    let all = Threads::none();
    for _ in 0..threads {
        all.spawn("fault-cpu", |stop| {
            let mut number = 1u32;
            while !stop.load(Ordering::Relaxed) {
                for _ in 0..ROUNDS {
                    number = black_box(number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
                }
            }
        });
    }
    all
}

/// Reserves one piece of memory and writes to more and more of it: the system only gives pages that were written. A single
/// piece also goes back to the system as a whole, which many small pieces may not.
fn use_memory(bytes: u64, lasts: Duration) -> Threads {
    let one = Threads::none();
    one.spawn("fault-memory", move |stop| {
        let started = Instant::now();
        let mut taken: Vec<u8> = Vec::new();
        let most = usize::try_from(bytes).unwrap_or(usize::MAX);
        if let Err(e) = taken.try_reserve_exact(most) {
            tracing::warn!(bytes, error = %e, "the memory for a fault could not be reserved");
            return;
        }
        while !stop.load(Ordering::Relaxed) {
            // Other processes grow as well, and may have reserved memory that they have not written yet.
            let now = match has_spare_memory() {
                true => due(most, started.elapsed(), lasts),
                false => 0,
            };
            // Not zeros: a system may provide zeros without providing memory.
            taken.resize(now.max(taken.len()), 0xA5);
            black_box(&taken);
            std::thread::sleep(STEP);
        }
    });
    one
}

/// The bytes to have taken by then: linear growth, complete at the end.
fn due(most: usize, elapsed: Duration, lasts: Duration) -> usize {
    let share = elapsed.as_secs_f64() / lasts.as_secs_f64();
    ((most as f64 * share) as usize).min(most)
}

/// The memory that can be taken without swapping (`MemAvailable`); `None` where the system does not report it.
fn free_bytes() -> Option<u64> {
    meminfo_bytes("MemAvailable:")
}

/// Whether at least a tenth of all memory is free.
fn has_spare_memory() -> bool {
    let both = free_bytes().zip(meminfo_bytes("MemTotal:"));
    both.is_none_or(|(free, total)| free > total / RESERVE_DIVISOR)
}

fn meminfo_bytes(key: &str) -> Option<u64> {
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
