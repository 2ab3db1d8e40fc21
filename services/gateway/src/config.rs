//! The gateway's own settings: its rate limits.

use std::num::NonZeroU32;

/// How many requests a client may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For each shopper with a valid token.
    pub per_subject: Allowance,
    /// For all others at one address together. Offices and load generators have one address for many shoppers.
    pub per_address: Allowance,
}

impl Default for Limits {
    /// More than one shopper's hands or one address's shoppers can send, less than a loop in a script.
    fn default() -> Self {
        Self {
            per_subject: Allowance::new(50, 100),
            per_address: Allowance::new(20_000, 20_000),
        }
    }
}

/// A token bucket: its size, and how fast it fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Requests per second, in the long run.
    pub per_second: NonZeroU32,
    /// Requests at once, after a pause.
    pub burst: NonZeroU32,
}

impl Allowance {
    /// An allowance; 0 counts as 1.
    pub const fn new(per_second: u32, burst: u32) -> Self {
        Self {
            per_second: at_least_one(per_second),
            burst: at_least_one(burst),
        }
    }
}

const fn at_least_one(n: u32) -> NonZeroU32 {
    match NonZeroU32::new(n) {
        Some(n) => n,
        None => NonZeroU32::MIN,
    }
}
