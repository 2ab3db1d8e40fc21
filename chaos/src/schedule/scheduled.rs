//! A fault with its window and its seed.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use shop_contract::faults::{FaultOrder, MAX_TTL_MS};

use crate::fault::{Begin, Fault, FaultKind, ProcessFault, Window};

/// A fault with its window and its seed.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduledFault {
    /// The fault as the scenario has it.
    pub fault: Fault,
    /// When it is planned to be in force.
    pub window: Window,
    /// The seed of its draws.
    ///
    /// It depends only on the fault's name and the run's seed, so adding a fault to a scenario does not change the
    /// draws of the others.
    pub seed: u64,
}

impl ScheduledFault {
    /// The seed of one replica's draws: stream `replica` of the fault's seed. With the same seed, all replicas would
    /// affect the same requests by number, and a share of 10 % would come in bursts.
    pub fn seed_at(&self, replica: u32) -> u64 {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(u64::from(replica));
        rng.next_u64()
    }

    /// The order for one replica, for the remaining time. `None` unless it is a service fault.
    pub fn order_at(&self, replica: u32, remaining: Duration) -> Option<FaultOrder> {
        let FaultKind::Service(fault) = &self.fault.kind else {
            return None;
        };
        let remaining_ms = u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX);
        Some(FaultOrder {
            name: self.fault.name.clone(),
            // The endpoint takes no time to live of 0.
            ttl_ms: remaining_ms.clamp(1, MAX_TTL_MS),
            share: fault.share,
            seed: self.seed_at(replica),
            only: fault.only.clone(),
            effect: fault.effect.clone(),
        })
    }

    /// This fault's line in the digest of a plan.
    pub(super) fn digest_line(&self) -> String {
        let Window { from, to } = self.window;
        let when = format!("from_us={} to_us={}", from.as_micros(), to.as_micros());
        line(&self.fault, &when, self.seed)
    }
}

/// The digest line of a fault without a fixed time.
pub(super) fn waiting_line(fault: &Fault, seed: u64) -> String {
    let (event, wait) = match &fault.begins {
        Begin::At(at) => (format!("at_us={}", at.as_micros()), Duration::ZERO),
        Begin::After { fault, wait } => (format!("after={fault}"), *wait),
        Begin::When { breaker, wait } => (format!("when={breaker}"), *wait),
    };
    let length_us = fault.length().as_micros();
    let when = format!("{event} wait_us={} for_us={length_us}", wait.as_micros());
    line(fault, &when, seed)
}

fn line(fault: &Fault, when: &str, seed: u64) -> String {
    let parameters = match &fault.kind {
        FaultKind::Service(fault) => {
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
        "fault {} kind={} target={} {when} seed={seed:016x} {parameters}",
        fault.name,
        fault.kind.name(),
        fault.target,
    )
}
