//! A token bucket: a steady rate, and a second's worth at once after a pause.
//!
//! It decides which traces are kept. A fixed share of the traffic would keep ten times as many traces in a rush, just
//! when there is no capacity for them. A rate has a constant cost.

use crate::moment::Moment;

/// Tokens that come back at a steady rate.
///
/// Invariant: in any span of `t` seconds at most `per_second · t` tokens and one bucketful are given. A bucket holds a
/// second's worth, and at least one token. A clock that goes back gives nothing and takes nothing.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    per_second: f64,
    holds: f64,
    tokens: f64,
    /// The time for which `tokens` is right.
    at: Moment,
}

impl TokenBucket {
    /// A full bucket. With a rate of zero, below zero or NaN it gives what it holds and no more.
    pub fn new(per_second: f64, now: Moment) -> Self {
        let per_second = if per_second > 0.0 { per_second } else { 0.0 };
        let holds = per_second.max(1.0);
        Self {
            per_second,
            holds,
            tokens: holds,
            at: now,
        }
    }

    /// Takes a token, if there is one.
    pub fn take(&mut self, now: Moment) -> bool {
        let passed = now.since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(self.holds);
        self.at = self.at.max(now);
        let taken = self.tokens >= 1.0;
        if taken {
            self.tokens -= 1.0;
        }
        taken
    }
}
