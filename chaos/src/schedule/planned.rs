//! A fault with all that the seed decides about it.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use shop_contract::faults::{FaultOrder, MAX_TTL_MS};

use crate::fault::{Begin, Fault, FaultKind, ProcessFault, Window};

/// A fault with all that the seed decides about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The fault as the scenario has it.
    pub fault: Fault,
    /// When it is meant to be in force.
    pub window: Window,
    /// The seed of its draws.
    ///
    /// The first number of ChaCha8 seeded with `FNV-1a(name) xor run seed`. It depends on nothing but these two, so
    /// that adding a fault to a scenario leaves the draws of the others as they were. FNV tells names apart; ChaCha8
    /// makes neighbouring run seeds unrelated.
    pub seed: u64,
}

impl Planned {
    /// The seed of one replica's draws: stream `replica` of the fault's seed. With one seed for all, every replica
    /// would spare and delay its nth request alike, and a share of 10 % would come in bursts.
    pub fn seed_at(&self, replica: u32) -> u64 {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(u64::from(replica));
        rng.next_u64()
    }

    /// What is asked of one replica, for the time that remains. `None` for a fault that no service holds.
    pub fn order_at(&self, replica: u32, remaining: Duration) -> Option<FaultOrder> {
        let FaultKind::InService(fault) = &self.fault.kind else {
            return None;
        };
        let remaining_ms = u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX);
        Some(FaultOrder {
            name: self.fault.name.clone(),
            // A fraction of a millisecond is still some time to live.
            ttl_ms: remaining_ms.clamp(1, MAX_TTL_MS),
            share: fault.share,
            seed: self.seed_at(replica),
            only: fault.only.clone(),
            effect: fault.effect.clone(),
        })
    }

    /// The line that stands for this fault in a plan's digest.
    pub(super) fn digest_line(&self) -> String {
        let Window { from, to } = self.window;
        let when = format!("from_us={} to_us={}", from.as_micros(), to.as_micros());
        line(&self.fault, &when, self.seed)
    }
}

/// The seed of a fault's draws.
pub(crate) fn seed_of(name: &str, run_seed: u64) -> u64 {
    ChaCha8Rng::seed_from_u64(fnv1a(name) ^ run_seed).next_u64()
}

/// The line that stands for a fault whose instant is not known beforehand.
pub(super) fn waiting_line(fault: &Fault, seed: u64) -> String {
    let (what, wait) = match &fault.begins {
        Begin::At(at) => (format!("at_us={}", at.as_micros()), Duration::ZERO),
        Begin::After { fault, wait } => (format!("after={fault}"), *wait),
        Begin::When { breaker, wait } => (format!("when={breaker}"), *wait),
    };
    let length_us = fault.length().as_micros();
    let when = format!("{what} wait_us={} for_us={length_us}", wait.as_micros());
    line(fault, &when, seed)
}

fn line(fault: &Fault, when: &str, seed: u64) -> String {
    let what = match &fault.kind {
        FaultKind::InService(fault) => {
            let json = |e: serde_json::Result<String>| e.unwrap_or_default();
            format!(
                "share={} only={} effect={}",
                fault.share,
                json(serde_json::to_string(&fault.only)),
                json(serde_json::to_string(&fault.effect)),
            )
        }
        FaultKind::Path(fault) => fault.digest(),
        FaultKind::Process(fault) => match fault {
            ProcessFault::Kill { restart } => format!("restart_us={}", restart.as_micros()),
            ProcessFault::SlowStart { delay } => format!("delay_us={}", delay.as_micros()),
            ProcessFault::Pause | ProcessFault::Restart => "whole".to_owned(),
        },
    };
    format!(
        "fault {} kind={} target={} {when} seed={seed:016x} {what}",
        fault.name,
        fault.kind.name(),
        fault.target,
    )
}

/// FNV-1a, 64 bits, with the offset basis and prime of its reference (Fowler, Noll, Vo).
pub(crate) fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
