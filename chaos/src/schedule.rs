//! When each fault begins and ends, and with which seed. Pure: time is passed in, randomness comes from the run's
//! seed, so that the same scenario and seed give the same faults on every machine.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::fault::{Fault, FaultKind, Window};

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
    fn new(fault: Fault, run_seed: u64) -> Self {
        let seed = ChaCha8Rng::seed_from_u64(fnv1a(&fault.name) ^ run_seed).next_u64();
        Self {
            window: fault.window(),
            fault,
            seed,
        }
    }

    /// The seed of one replica's draws: stream `replica` of the fault's seed. With one seed for all, every replica
    /// would spare and delay its nth request alike, and a share of 10 % would come in bursts.
    pub fn seed_at(&self, replica: u32) -> u64 {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(u64::from(replica));
        rng.next_u64()
    }

    /// The line that stands for this fault in a plan's digest.
    fn digest_line(&self) -> String {
        let Window { from, to } = self.window;
        let what = match &self.fault.kind {
            FaultKind::Latency {
                delay,
                jitter,
                share,
            } => format!(
                "delay_us={} jitter_us={} share={share}",
                delay.as_micros(),
                jitter.as_micros()
            ),
            FaultKind::Kill { restart } => format!("restart_us={}", restart.as_micros()),
        };
        format!(
            "fault {} kind={} target={} from_us={} to_us={} seed={:016x} {what}",
            self.fault.name,
            self.fault.kind.name(),
            self.fault.target,
            from.as_micros(),
            to.as_micros(),
            self.seed,
        )
    }
}

/// What is to be done at an instant.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Bring the fault about.
    Inject(Arc<Planned>),
    /// End it: clear it, or start again what it killed.
    End(Arc<Planned>),
}

impl Action {
    /// The fault it is about.
    pub fn planned(&self) -> &Arc<Planned> {
        match self {
            Self::Inject(planned) | Self::End(planned) => planned,
        }
    }

    /// When it is due, from the run's start.
    pub fn at(&self) -> Duration {
        match self {
            Self::Inject(planned) => planned.window.from,
            Self::End(planned) => planned.window.to,
        }
    }

    /// Its place among actions of the same instant: what ends makes room for what begins, but a fault of no length
    /// still begins before it ends.
    fn rank(&self) -> u8 {
        match self {
            Self::End(planned) if planned.window.from < planned.window.to => 0,
            Self::Inject(_) => 1,
            Self::End(_) => 2,
        }
    }
}

/// The faults of a run in the order of time, handed out as they become due.
#[derive(Debug, Clone)]
pub struct Schedule {
    planned: Vec<Arc<Planned>>,
    ahead: VecDeque<Action>,
}

impl Schedule {
    /// A schedule of `faults` (names unique) under the run's seed.
    pub fn new(faults: impl IntoIterator<Item = Fault>, seed: u64) -> Self {
        let mut planned: Vec<Arc<Planned>> = faults
            .into_iter()
            .map(|fault| Arc::new(Planned::new(fault, seed)))
            .collect();
        // By name where the time is the same: the order in the file must not decide anything.
        planned.sort_by(|a, b| (a.window.from, &a.fault.name).cmp(&(b.window.from, &b.fault.name)));
        let mut ahead: Vec<Action> = planned
            .iter()
            .flat_map(|p| [Action::Inject(p.clone()), Action::End(p.clone())])
            .collect();
        ahead.sort_by_key(|action| (action.at(), action.rank()));
        Self {
            planned,
            ahead: ahead.into(),
        }
    }

    /// Takes out every action due at `elapsed` or before, in order.
    pub fn due(&mut self, elapsed: Duration) -> Vec<Action> {
        let count = self.ahead.partition_point(|a| a.at() <= elapsed);
        self.ahead.drain(..count).collect()
    }

    /// When the next action is due; `None` when all have been taken out.
    pub fn next_at(&self) -> Option<Duration> {
        self.ahead.front().map(Action::at)
    }

    /// Every fault, in the order of time.
    pub fn planned(&self) -> &[Arc<Planned>] {
        &self.planned
    }

    /// The planned window of a fault.
    pub fn window(&self, fault: &str) -> Option<Window> {
        let planned = self.planned.iter().find(|p| p.fault.name == fault)?;
        Some(planned.window)
    }

    /// One line per fault in the order of time, the same on every machine and in every release: for the digest of
    /// the run's plan.
    pub fn digest_lines(&self) -> Vec<String> {
        self.planned.iter().map(|p| p.digest_line()).collect()
    }
}

/// FNV-1a, 64 bits, with the offset basis and prime of its reference (Fowler, Noll, Vo).
pub(crate) fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
