//! What a fault is: a name, a time, a target and a kind. Plain data; how it is written in a scenario is the
//! business of [`spec`](crate::spec), how it is brought about that of [`injector`](crate::injector).

use std::fmt;
use std::time::Duration;

/// One fault of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Its name, unique in the scenario: `[a-z0-9-]+`.
    pub name: String,
    /// When it begins, from the run's start.
    pub at: Duration,
    /// How long it lasts. Absent for kinds that end by themselves, such as a kill.
    pub lasts: Option<Duration>,
    /// What it is aimed at.
    pub target: Target,
    /// What it does.
    pub kind: FaultKind,
}

/// What a fault is aimed at. Written `bank` or `order/1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// A role of the shop.
    pub role: String,
    /// One replica, from 0; absent for all of them.
    pub replica: Option<u32>,
}

/// What a fault does.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultKind {
    /// Requests wait before they are served, for `delay` plus or minus up to `jitter`.
    Latency {
        /// Mean delay.
        delay: Duration,
        /// Half width of the uniform spread around it, at most the delay.
        jitter: Duration,
        /// The share of requests that it touches, above 0 and up to 1.
        share: f64,
    },
    /// The process dies as by SIGKILL and is started again.
    Kill {
        /// How long after its death it is started again.
        restart: Duration,
    },
}

/// When a fault is meant to be in force, from the run's start: `from` included, `to` not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its begin.
    pub from: Duration,
    /// Its end. For a kill the moment of the restart; the replica is ready a little later.
    pub to: Duration,
}

impl Fault {
    /// The planned window.
    pub fn window(&self) -> Window {
        let length = match self.kind {
            FaultKind::Kill { restart } => restart,
            FaultKind::Latency { .. } => self.lasts.unwrap_or_default(),
        };
        Window {
            from: self.at,
            to: self.at.saturating_add(length),
        }
    }
}

impl FaultKind {
    /// The kind's name, as in [`KINDS`](crate::KINDS).
    pub fn name(&self) -> &'static str {
        match self {
            Self::Latency { .. } => "latency",
            Self::Kill { .. } => "kill",
        }
    }

    /// Whether the replica is gone while the fault is in force, so that no other fault can reach it.
    pub fn takes_replica_down(&self) -> bool {
        match self {
            Self::Latency { .. } => false,
            Self::Kill { .. } => true,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.replica {
            None => f.write_str(&self.role),
            Some(replica) => write!(f, "{}/{replica}", self.role),
        }
    }
}
