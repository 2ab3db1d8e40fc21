//! The admin listener's `/faults`: what an injector may ask of a service.
//!
//! | call | answer |
//! |---|---|
//! | `POST /faults` with a [`FaultOrder`] | 201 and its [`FaultState`]; 400 without a time to live; 409 for a name in use |
//! | `GET /faults` | 200 and [`FaultStates`]: those in force and those that ended |
//! | `DELETE /faults/{name}` | 200 and the [`FaultState`] it ended with; 404 for an unknown name |
//! | `DELETE /faults` | 200 and [`FaultStates`], all of them ended |

use serde::{Deserialize, Serialize};

use crate::role::Role;

/// The longest time to live a target accepts: an hour. Nobody means longer, and a typing slip may.
pub const MAX_TTL_MS: u64 = 3_600_000;

/// A fault asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultOrder {
    /// A name, unique among those in force at the target.
    pub name: String,
    /// After this long it ends by itself, whatever became of whoever asked for it.
    pub ttl_ms: u64,
    /// The share of requests, or of statements, that it touches, above 0 and up to 1.
    #[serde(default = "all")]
    pub share: f64,
    /// Seed of the draws for share and jitter.
    #[serde(default)]
    pub seed: u64,
    /// Which requests it may touch at all.
    #[serde(default, skip_serializing_if = "Only::is_everything")]
    pub only: Only,
    /// What it does.
    #[serde(flatten)]
    pub effect: FaultEffect,
}

fn all() -> f64 {
    1.0
}

/// Which requests a fault may touch. What is absent does not matter; what is there must all be so.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Only {
    /// The service's own calls to this role, instead of the requests that it serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calling: Option<Role>,
    /// A route's template, with or without a method: `POST /orders`, `/products/{id}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The role that asks. Requests of shoppers have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<Role>,
    /// The id of the user on whose behalf it is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shopper: Option<String>,
    /// A share of the shoppers, above 0 and up to 1: always the same ones, wherever a fault of this name is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shoppers: Option<f64>,
}

impl Only {
    /// Whether nothing is left out.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }
}

/// What a fault does. The tag is the fault's `kind`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum FaultEffect {
    /// A request waits before it is served, or before it is sent.
    Latency {
        /// Delay in microseconds.
        delay_us: u64,
        /// How far the delays are spread, in microseconds; what that means says the distribution.
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
    /// No answer comes until whoever asks gives up, or the fault ends; the request is not served.
    Hang,
    /// A request is served, and the body of its answer comes slowly.
    SlowBody {
        /// Bytes a second.
        bytes_per_s: u64,
    },
    /// A request is served, and the connection is closed after half of its answer's body.
    Truncate,
    /// A request is served, and bytes of its answer's body are others.
    Corrupt,
    /// A call cannot be connected. Only with [`Only::calling`]: one way of a split network.
    Refuse,
    /// Threads that compute nothing, as busily as they can.
    Cpu {
        /// How many.
        threads: u32,
    },
    /// Memory is taken, evenly over the time to live, and given back at its end.
    Memory {
        /// How much in all.
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
    /// Somebody else holds the database's lock on writes: reads go on, writes wait and fail.
    LockedDatabase,
    /// Writes fail, as when the disk is full; reads go on.
    FullDisk,
    /// Connections to the database are held by nobody who uses them.
    LeakedConnections {
        /// How many are left, of each pool.
        left: u32,
    },
    /// The service's clock is wrong.
    ClockSkew {
        /// By how much, in milliseconds; below 0 for a clock that is behind.
        by_ms: i64,
    },
}

/// How injected delays are distributed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// The delay plus or minus up to the jitter, each value as likely.
    #[default]
    Uniform,
    /// The delay is the mean and the jitter the standard deviation; none is below nothing.
    Normal,
    /// The delay is the least, and on it comes a wait whose mean is the jitter: few wait long.
    Exponential,
}

impl FaultEffect {
    /// The kind's name, as scenarios and metrics write it.
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

    /// What it touches.
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

/// What a fault touches, and so what its hits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touches {
    /// Requests, served or made: each that is touched is a hit.
    Requests,
    /// Work with the database: each piece that is touched is a hit.
    Database,
    /// The process as a whole: each request that it serves meanwhile is a hit.
    Process,
}

/// A fault at its target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultState {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Requests or pieces of work that it touched: see [`Touches`].
    pub hits: u64,
    /// How long it still lives; 0 when it has ended.
    pub remaining_ms: u64,
}

/// All faults that a target knows of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultStates {
    /// In force.
    pub active: Vec<FaultState>,
    /// Over: by time, or cleared. The newest hundred.
    pub ended: Vec<FaultState>,
}
