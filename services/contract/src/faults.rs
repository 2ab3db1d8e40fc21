//! The admin listener's `/faults`: what an injector may ask of a service.
//!
//! | call | answer |
//! |---|---|
//! | `POST /faults` with a [`FaultOrder`] | 201 and its [`FaultState`]; 400 without a time to live; 409 for a name in use |
//! | `GET /faults` | 200 and [`FaultStates`]: those in force and those that ended |
//! | `DELETE /faults/{name}` | 200 and the [`FaultState`] it ended with; 404 for an unknown name |
//! | `DELETE /faults` | 200 and [`FaultStates`], all of them ended |

use serde::{Deserialize, Serialize};

/// The longest time to live a target accepts: an hour. Nobody means longer, and a typing slip may.
pub const MAX_TTL_MS: u64 = 3_600_000;

/// A fault asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultOrder {
    /// A name, unique among those in force at the target.
    pub name: String,
    /// After this long it ends by itself, whatever became of whoever asked for it.
    pub ttl_ms: u64,
    /// The share of requests that it touches, 0 to 1.
    pub share: f64,
    /// Seed of the draws for share and jitter.
    pub seed: u64,
    /// What it does to a request.
    #[serde(flatten)]
    pub effect: FaultEffect,
}

/// What a fault does to a request. The tag is the fault's `kind`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultEffect {
    /// The request waits before it is served: `delay` plus or minus up to `jitter`, uniformly.
    Latency {
        /// Mean delay in microseconds.
        delay_us: u64,
        /// Half width of the uniform spread around it, at most the delay.
        jitter_us: u64,
    },
}

impl FaultEffect {
    /// The kind's name, as scenarios and metrics write it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Latency { .. } => "latency",
        }
    }
}

/// A fault at its target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultState {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Requests that it touched.
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
