//! What a fault is: a name, a time, a target and a kind. Plain data; how it is written in a scenario is the
//! business of [`spec`](crate::spec), how it is brought about that of [`injector`](crate::injector).

use std::fmt;
use std::time::Duration;

use shop_contract::faults::{FaultEffect, Only};

use crate::path::PathFault;

/// One fault of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Its name, unique in the scenario: `[a-z0-9-]+`.
    pub name: String,
    /// When it begins.
    pub begins: Begin,
    /// How long it lasts. Absent for kinds that end by themselves, such as a kill.
    pub lasts: Option<Duration>,
    /// What it is aimed at.
    pub target: Target,
    /// What it does.
    pub kind: FaultKind,
}

/// When a fault begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// At an instant, from the run's start.
    At(Duration),
    /// When another fault has ended: when it has really ended, which for a kill is when the replica is ready again.
    After {
        /// The other fault's name.
        fault: String,
        /// How long after that.
        wait: Duration,
    },
    /// When a breaker is seen open.
    When {
        /// Which.
        breaker: Breaker,
        /// How long after that.
        wait: Duration,
    },
}

/// The circuit breaker that one role has towards another: open when any of its replicas has it open towards any
/// replica of the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Breaker {
    /// Who calls.
    pub caller: String,
    /// Who is called.
    pub callee: String,
}

/// What a fault is aimed at. Written `bank`, `order/1`, or `payment->bank` for a way from one to another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// A role of the shop.
    pub role: String,
    /// One replica, from 0; absent for all of them.
    pub replica: Option<u32>,
    /// The role that it calls, where the fault lies on the way there.
    pub to: Option<String>,
}

/// What a fault does.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultKind {
    /// Something that a service does to itself when it is asked to: with requests, its database, its process.
    InService(InService),
    /// Something that is done to a process from outside.
    Process(ProcessFault),
    /// Something that is done to the connections of a way.
    Path(PathFault),
}

/// A fault that a service holds.
#[derive(Debug, Clone, PartialEq)]
pub struct InService {
    /// What it does, in the words of the admin endpoint.
    pub effect: FaultEffect,
    /// The share of requests or statements that it touches, above 0 and up to 1.
    pub share: f64,
    /// Which of them it may touch at all.
    pub only: Only,
}

/// What is done to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessFault {
    /// It dies as by SIGKILL and is started again.
    Kill {
        /// How long after its death it is started again.
        restart: Duration,
    },
    /// It is stopped in its tracks as by SIGSTOP, and goes on at the fault's end.
    Pause,
    /// It is told to end, ends in its own time, and is started again at once.
    Restart,
    /// It dies, is started again at once, and takes longer than usual to be ready.
    SlowStart {
        /// How much longer.
        delay: Duration,
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
    /// How long it is meant to be in force. Nothing for a restart, which is over when it is done.
    pub fn length(&self) -> Duration {
        match self.kind {
            FaultKind::Process(ProcessFault::Kill { restart: length })
            | FaultKind::Process(ProcessFault::SlowStart { delay: length }) => length,
            FaultKind::Process(ProcessFault::Restart) => Duration::ZERO,
            FaultKind::InService(_)
            | FaultKind::Path(_)
            | FaultKind::Process(ProcessFault::Pause) => self.lasts.unwrap_or_default(),
        }
    }

    /// The planned window, of a fault that begins at an instant; of others nobody knows it beforehand.
    pub fn window(&self) -> Option<Window> {
        match self.begins {
            Begin::At(at) => Some(Window::new(at, self.length())),
            Begin::After { .. } | Begin::When { .. } => None,
        }
    }
}

impl Window {
    /// From an instant on, for some time.
    pub fn new(from: Duration, length: Duration) -> Self {
        Self {
            from,
            to: from.saturating_add(length),
        }
    }
}

impl Target {
    /// All replicas of a role.
    pub fn role(role: &str) -> Self {
        Self {
            role: role.to_owned(),
            replica: None,
            to: None,
        }
    }

    /// One replica of a role.
    pub fn replica(role: &str, replica: u32) -> Self {
        Self {
            replica: Some(replica),
            ..Self::role(role)
        }
    }
}

impl InService {
    /// An effect on everything.
    pub fn on_all(effect: FaultEffect) -> Self {
        Self {
            effect,
            share: 1.0,
            only: Only::default(),
        }
    }
}

impl FaultKind {
    /// The kind's name, as in [`KINDS`](crate::KINDS).
    pub fn name(&self) -> &'static str {
        match self {
            Self::InService(fault) => fault.effect.kind(),
            Self::Path(fault) => fault.effect.kind(),
            Self::Process(ProcessFault::Kill { .. }) => "kill",
            Self::Process(ProcessFault::Pause) => "pause",
            Self::Process(ProcessFault::Restart) => "restart",
            Self::Process(ProcessFault::SlowStart { .. }) => "slow-start",
        }
    }

    /// Whether the replica is gone while the fault is in force, so that no other fault can reach it.
    pub fn takes_replica_down(&self) -> bool {
        match self {
            Self::InService(_) | Self::Path(_) => false,
            Self::Process(_) => true,
        }
    }
}

impl fmt::Display for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}->{}", self.caller, self.callee)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.replica {
            None => f.write_str(&self.role),
            Some(replica) => write!(f, "{}/{replica}", self.role),
        }?;
        match &self.to {
            None => Ok(()),
            Some(to) => write!(f, "->{to}"),
        }
    }
}
