//! A fault: name, time, target and kind. Plain data. [`spec`](crate::spec) reads it from scenarios and
//! [`injector`](crate::injector) injects it.

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
    /// How long it lasts. `None` for kinds that end by themselves, such as a kill.
    pub lasts: Option<Duration>,
    /// Its target.
    pub target: Target,
    /// What it does.
    pub kind: FaultKind,
}

/// When a fault begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// At a fixed time from the run's start.
    At(Duration),
    /// When another fault has actually ended; for a kill, when the replica is ready again.
    After {
        /// The other fault's name.
        fault: String,
        /// How long after that.
        wait: Duration,
    },
    /// When a breaker is seen open.
    When {
        /// The breaker.
        breaker: Breaker,
        /// How long after that.
        wait: Duration,
    },
}

/// The circuit breaker of one role towards another. It is open when any replica of the caller has it open towards any
/// replica of the callee.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Breaker {
    /// The calling role.
    pub caller: String,
    /// The called role.
    pub callee: String,
}

/// The target of a fault: a role (`bank`), a replica (`order/1`), or an edge, that is all calls from one role to another
/// (`payment->bank`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// A role of the shop.
    pub role: String,
    /// One replica, from 0; `None` for all of them.
    pub replica: Option<u32>,
    /// The called role, if the target is an edge.
    pub to: Option<String>,
}

/// What a fault does.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultKind {
    /// A fault that a service implements itself: in its requests, its database or its process.
    Service(ServiceFault),
    /// A fault of a process, from outside.
    Process(ProcessFault),
    /// A fault of the connections of an edge.
    Path(PathFault),
}

/// A fault that a service implements itself.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceFault {
    /// What it does, as the admin endpoint takes it.
    pub effect: FaultEffect,
    /// The share of requests or statements that it affects, above 0 and up to 1.
    pub share: f64,
    /// The requests that it can affect.
    pub only: Only,
}

/// A fault of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessFault {
    /// It is killed as by SIGKILL and started again later.
    Kill {
        /// Time from its death to its start.
        restart: Duration,
    },
    /// It is suspended as by SIGSTOP, and resumed at the fault's end.
    Pause,
    /// It ends gracefully as by SIGTERM, and is started again.
    Restart,
    /// It is killed, started again at once, and becomes ready later than usual.
    SlowStart {
        /// How much later.
        delay: Duration,
    },
}

/// When a fault is planned to be in force, from the run's start: `from` inclusive, `to` exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its begin.
    pub from: Duration,
    /// Its end. For a kill it is the start of the process; the replica is ready a little later.
    pub to: Duration,
}

impl Fault {
    /// How long it is planned to be in force. Zero for a restart, which ends when the replica is ready.
    pub fn length(&self) -> Duration {
        match self.kind {
            FaultKind::Process(ProcessFault::Kill { restart: length })
            | FaultKind::Process(ProcessFault::SlowStart { delay: length }) => length,
            FaultKind::Process(ProcessFault::Restart) => Duration::ZERO,
            FaultKind::Service(_)
            | FaultKind::Path(_)
            | FaultKind::Process(ProcessFault::Pause) => self.lasts.unwrap_or_default(),
        }
    }

    /// The planned window of a fault that begins at a fixed time; `None` for others.
    pub fn window(&self) -> Option<Window> {
        match self.begins {
            Begin::At(at) => Some(Window::new(at, self.length())),
            Begin::After { .. } | Begin::When { .. } => None,
        }
    }
}

impl Window {
    /// A window of this length.
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

impl ServiceFault {
    /// An effect on all requests.
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
            Self::Service(fault) => fault.effect.kind(),
            Self::Path(fault) => fault.effect.kind(),
            Self::Process(ProcessFault::Kill { .. }) => "kill",
            Self::Process(ProcessFault::Pause) => "pause",
            Self::Process(ProcessFault::Restart) => "restart",
            Self::Process(ProcessFault::SlowStart { .. }) => "slow-start",
        }
    }

    /// Whether the replica is down while the fault is in force, so that no other fault can reach it.
    pub fn takes_replica_down(&self) -> bool {
        match self {
            Self::Service(_) | Self::Path(_) => false,
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
