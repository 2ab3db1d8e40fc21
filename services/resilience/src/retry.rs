//! Retries: when another try is worth it, and how long to wait before it.
//!
//! Backoff is exponential with full jitter (Brooker, "Exponential Backoff And Jitter", AWS 2015): of the variants
//! compared there it spreads competing callers best for the least work. A retry also needs a failure that it may cure,
//! a call that may be repeated, time, and a budget token. [`Outcome`] says which failures those are.

use std::time::Duration;

use crate::budget::RetryBudget;
use crate::deadline::Deadline;
use crate::moment::Moment;
use crate::outcome::Outcome;

/// When and how soon a failed try is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries in all, the first one included: 3. What two retries do not cure lasts longer than a caller waits (the
    /// Google SRE book has the same number).
    pub max_attempts: u32,
    /// The first wait is drawn from zero up to this, 25 ms: several times a usual request, so that a reconnect or a
    /// lock is over.
    pub base: Duration,
    /// No wait is drawn from a longer range than this, 1 s: after that the shopper has gone.
    pub cap: Duration,
    /// A callee that asks for a longer wait than this is not asked again, 5 s: nobody waits for that call, and a
    /// recovery worker has its own schedule.
    pub longest_retry_after: Duration,
    /// The least time that a try needs once the wait is over: [`Deadline::FLOOR`].
    pub floor: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            base: Duration::from_millis(25),
            cap: Duration::from_secs(1),
            longest_retry_after: Duration::from_secs(5),
            floor: Deadline::FLOOR,
        }
    }
}

/// A try that has ended, and what is known when another one is considered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tried {
    /// Which try it was, from 1.
    pub attempt: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether the call may be repeated: its method is idempotent, or it has an idempotency key. A call that may not is
    /// never repeated, not even when connecting failed. The rule has no exceptions.
    pub repeatable: bool,
    /// The deadline of the whole call, if it has one.
    pub deadline: Option<Deadline>,
    /// The present.
    pub now: Moment,
    /// A random draw, from 0 up to 1.
    pub draw: f64,
}

/// Why there is no other try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoRetry {
    /// There is nothing to cure: it succeeded, was refused because of the request itself, or was shed.
    NotRetryable,
    /// The call must not be repeated.
    NotRepeatable,
    /// All attempts are spent.
    AttemptsSpent,
    /// The callee asked for a wait that is too long.
    AskedToWait,
    /// There is no time for the wait and a try.
    DeadlineNear,
    /// The budget is spent. Watch this one: it means that the callee has a problem, not this call.
    BudgetSpent,
}

impl NoRetry {
    /// Its name as a metric label or a log field.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotRetryable => "not_retryable",
            Self::NotRepeatable => "not_repeatable",
            Self::AttemptsSpent => "attempts_spent",
            Self::AskedToWait => "asked_to_wait",
            Self::DeadlineNear => "deadline_near",
            Self::BudgetSpent => "budget_spent",
        }
    }
}

impl RetryPolicy {
    /// Whether to try again, and after which wait. A granted retry takes its budget token.
    ///
    /// # Errors
    /// The first reason against another try. The budget is asked last, so no token is spent on a retry that does not
    /// happen.
    pub fn may_retry(&self, tried: &Tried, budget: &mut RetryBudget) -> Result<Duration, NoRetry> {
        let Outcome::Retryable { retry_after, .. } = tried.outcome else {
            return Err(NoRetry::NotRetryable);
        };
        if !tried.repeatable {
            return Err(NoRetry::NotRepeatable);
        }
        if tried.attempt >= self.max_attempts {
            return Err(NoRetry::AttemptsSpent);
        }
        let asked = retry_after.unwrap_or_default();
        if asked > self.longest_retry_after {
            return Err(NoRetry::AskedToWait);
        }
        // The jitter is added to the wait that the callee asked for: it asked many callers for the same wait, and they
        // must not come back at the same instant.
        let wait = asked.saturating_add(self.backoff(tried.attempt, tried.draw));
        let in_time = |deadline: Deadline| deadline.admits(tried.now + wait, self.floor);
        if !tried.deadline.is_none_or(in_time) {
            return Err(NoRetry::DeadlineNear);
        }
        if !budget.try_withdraw(tried.now) {
            return Err(NoRetry::BudgetSpent);
        }
        Ok(wait)
    }

    /// The wait after the given failed attempt (from 1): uniform between zero and `base`, doubled for each attempt
    /// before it, `cap` at most. A draw outside 0 to 1 counts as the nearer end.
    pub fn backoff(&self, attempt: u32, draw: f64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let range = self.base.saturating_mul(1 << doublings).min(self.cap);
        // `max` first: it also turns NaN into 0, where `clamp` would keep it and `mul_f64` panic.
        #[allow(clippy::manual_clamp)]
        let draw = draw.max(0.0).min(1.0);
        range.mul_f64(draw)
    }
}
