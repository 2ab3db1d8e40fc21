//! The admin listener's `/faults`: the faults that a service can inject into itself.
//!
//! | call | answer |
//! |---|---|
//! | `POST /faults` with a [`FaultOrder`] | 201 and its [`FaultState`]; 400 without a time to live; 409 for a name in use |
//! | `GET /faults` | 200 and [`FaultStates`]: those in force and those that ended |
//! | `DELETE /faults/{name}` | 200 and the [`FaultState`] it ended with; 404 for an unknown name |
//! | `DELETE /faults` | 200 and [`FaultStates`], all of them ended |

use serde::{Deserialize, Serialize};

use crate::role::Role;

/// The longest time to live that a target accepts: an hour. More is most likely a mistake.
pub const MAX_TTL_MS: u64 = 3_600_000;

/// A request to inject a fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultOrder {
    /// Its name, unique among the active faults of the target.
    pub name: String,
    /// The fault ends by itself after this time, even if the injector is gone.
    pub ttl_ms: u64,
    /// The share of requests or statements that it affects, above 0 and up to 1.
    #[serde(default = "all")]
    pub share: f64,
    /// Seed of the draws for share and jitter.
    #[serde(default)]
    pub seed: u64,
    /// Which requests it can affect.
    #[serde(default, skip_serializing_if = "Only::is_everything")]
    pub only: Only,
    /// Its effect.
    #[serde(flatten)]
    pub effect: FaultEffect,
}

fn all() -> f64 {
    1.0
}

/// Which requests a fault can affect. A request must match every key that is given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Only {
    /// The service's own calls to this role, instead of the requests that it serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calling: Option<Role>,
    /// A route's template, with or without a method: `POST /orders`, `/products/{id}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The role of the caller. Requests of shoppers have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<Role>,
    /// The id of the user whose request it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shopper: Option<String>,
    /// A share of the shoppers, above 0 and up to 1: always the same ones, wherever a fault of this name is active.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shoppers: Option<f64>,
}

impl Only {
    /// Whether every request matches.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }
}

/// The effect of a fault. The tag is the fault's `kind`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum FaultEffect {
    /// A request waits before it is served, or before it is sent.
    Latency {
        /// Delay in microseconds.
        delay_us: u64,
        /// The spread of the delays, in microseconds; its meaning depends on the distribution.
        #[serde(default)]
        jitter_us: u64,
        /// The distribution of the delays.
        #[serde(default)]
        distribution: Distribution,
    },
    /// A request is answered with an error, and not served.
    Error {
        /// 400 to 599.
        status: u16,
    },
    /// The connection is reset instead of an answer; the request is not served.
    Abort,
    /// No answer is sent until the caller gives up or the fault ends; the request is not served.
    Hang,
    /// A request is served, and the body of its answer is sent slowly.
    SlowBody {
        /// Bytes a second.
        bytes_per_s: u64,
    },
    /// A request is served, and the connection is closed after half of its answer's body.
    Truncate,
    /// A request is served, and some bytes of its answer's body are changed.
    Corrupt,
    /// A call cannot connect. Only with [`Only::calling`]: one direction of a network split.
    Refuse,
    /// Threads that use up the processor.
    Cpu {
        /// Their number.
        threads: u32,
    },
    /// Memory is allocated, evenly over the time to live, and freed at its end.
    Memory {
        /// The total, in bytes.
        bytes: u64,
    },
    /// A statement or transaction waits before it reaches the database.
    SlowDatabase {
        /// Delay in microseconds.
        delay_us: u64,
        /// Half width of the uniform spread around it, at most the delay.
        #[serde(default)]
        jitter_us: u64,
    },
    /// A statement or transaction fails before it reaches the database.
    FailingDatabase,
    /// The database's write lock is held: reads go on, writes wait and fail.
    LockedDatabase,
    /// Writes fail, as when the disk is full; reads go on.
    FullDisk,
    /// Database connections are held without being used.
    LeakedConnections {
        /// How many connections each pool keeps.
        left: u32,
    },
    /// The service's clock is wrong.
    ClockSkew {
        /// The error in milliseconds; below 0 for a clock that is behind.
        by_ms: i64,
    },
}

/// How injected delays are distributed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// The delay plus or minus up to the jitter, uniform.
    #[default]
    Uniform,
    /// Normal: the delay is the mean and the jitter the standard deviation; never below zero.
    Normal,
    /// The delay is the minimum, plus an exponential wait whose mean is the jitter.
    Exponential,
}

impl FaultEffect {
    /// The name of the kind in scenarios and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Latency { .. } => "latency",
            Self::Error { .. } => "error",
            Self::Abort => "abort",
            Self::Hang => "hang",
            Self::SlowBody { .. } => "slow-body",
            Self::Truncate => "truncate",
            Self::Corrupt => "corrupt",
            Self::Refuse => "refuse",
            Self::Cpu { .. } => "cpu",
            Self::Memory { .. } => "memory",
            Self::SlowDatabase { .. } => "slow-database",
            Self::FailingDatabase => "failing-database",
            Self::LockedDatabase => "locked-database",
            Self::FullDisk => "full-disk",
            Self::LeakedConnections { .. } => "leaked-connections",
            Self::ClockSkew { .. } => "clock-skew",
        }
    }

    /// What it affects.
    pub fn touches(&self) -> Touches {
        match self {
            Self::Latency { .. }
            | Self::Error { .. }
            | Self::Abort
            | Self::Hang
            | Self::SlowBody { .. }
            | Self::Truncate
            | Self::Corrupt
            | Self::Refuse => Touches::Requests,
            Self::SlowDatabase { .. }
            | Self::FailingDatabase
            | Self::LockedDatabase
            | Self::FullDisk
            | Self::LeakedConnections { .. } => Touches::Database,
            Self::Cpu { .. } | Self::Memory { .. } | Self::ClockSkew { .. } => Touches::Process,
        }
    }
}

/// What a fault affects, and so what its hits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touches {
    /// Requests, served or sent: each affected one is a hit.
    Requests,
    /// Work with the database: each affected piece is a hit.
    Database,
    /// The whole process: each request that it serves meanwhile is a hit.
    Process,
}

/// A fault at its target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultState {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Requests or pieces of work that it affected: see [`Touches`].
    pub hits: u64,
    /// Its remaining time to live; 0 when it has ended.
    pub remaining_ms: u64,
}

/// All faults of a target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultStates {
    /// Active ones.
    pub active: Vec<FaultState>,
    /// Ended ones, by time or by request: the newest hundred.
    pub ended: Vec<FaultState>,
}
