//! A token bucket: so much a second whatever is asked for, and a second's worth at once after a pause.
//!
//! What decides which traces are kept. A share of the traffic would do while the shop is quiet; under a rush it keeps ten
//! times as much just when there is no room for it. A rate keeps its price.

use crate::moment::Moment;

/// Tokens that come back at a steady rate.
///
/// What holds: in any span of `t` seconds at most `per_second · t` tokens and one bucketful are given, where a bucket holds
/// a second's worth, and never less than one token. A clock that goes back gives nothing and takes nothing.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    per_second: f64,
    holds: f64,
    tokens: f64,
    /// When `tokens` was right.
    at: Moment,
}

impl TokenBucket {
    /// A full bucket. A rate below 0, or none at all, is that of a bucket which gives what it holds and no more.
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
