//! The retry budget: retries are a share of the traffic, whatever fails.
//!
//! Three attempts per call mean up to three times the load when the callee can bear it least, and up to 27 times over
//! three hops. A budget bounds the sum instead of each call. The numbers are those of Finagle's `RetryBudget`; the
//! Google SRE book ("Handling Overload") has the same idea with 10 %.

use std::time::Duration;

use crate::moment::Moment;
use crate::window::Window;

/// How many retries a caller may send, over all its calls to one service.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryBudgetConfig {
    /// Retries per request, 0.2: load grows by at most a fifth, which a service sized with reserve survives.
    pub ratio: f64,
    /// Additional retries per second, 10: with little traffic a share alone would round to zero.
    pub floor_per_s: f64,
    /// Length of the sliding window, 10 s: long enough for a share to mean something, short enough that a quiet minute
    /// does not pay for a burst of retries.
    pub window: Duration,
}

impl RetryBudgetConfig {
    /// No bound but that of each call, as many clients have it. It is how retry storms arise.
    pub fn unbounded() -> Self {
        Self {
            floor_per_s: f64::INFINITY,
            ..Self::default()
        }
    }
}

impl Default for RetryBudgetConfig {
    fn default() -> Self {
        Self {
            ratio: 0.2,
            floor_per_s: 10.0,
            window: Duration::from_secs(10),
        }
    }
}

/// Counts requests and retries over a sliding window.
///
/// Invariant: whenever a retry is granted, the retries of the window that ends with it, itself included, are at most
/// `ratio` times the requests of the same window plus `floor_per_s` times its length. The bound is exact because slots
/// round in the safe direction: the oldest slot, which has partly left the window, counts for retries and does not
/// count for requests.
#[derive(Debug, Clone)]
pub struct RetryBudget {
    config: RetryBudgetConfig,
    window: Window<Counts>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    requests: u64,
    retries: u64,
}

/// Slots per window. With 40, rounding withholds at most a fortieth of the budget.
const SLOTS: u32 = 40;

impl RetryBudget {
    /// A budget without traffic. The floor is available at once.
    pub fn new(config: RetryBudgetConfig) -> Self {
        Self {
            config,
            window: Window::new(config.window, SLOTS, SLOTS as usize + 1),
        }
    }

    /// Counts a call. Count each call once, at its first try: if retries counted, they would pay for more retries.
    pub fn record_request(&mut self, now: Moment) {
        self.window.at(now).requests += 1;
    }

    /// Takes a token for one retry, if there is one. Call it last, when everything else is in favour: a token is spent
    /// when taken.
    pub fn try_withdraw(&mut self, now: Moment) -> bool {
        self.window.at(now);
        let retries: u64 = self.window.newest_first().map(|c| c.retries).sum();
        let granted = (retries + 1) as f64 <= self.allowance();
        if granted {
            self.window.at(now).retries += 1;
        }
        granted
    }

    /// How many retries the window's requests and the floor allow.
    fn allowance(&self) -> f64 {
        let certain = self.window.newest_first().take(SLOTS as usize);
        let requests: u64 = certain.map(|c| c.requests).sum();
        self.config.ratio * requests as f64
            + self.config.floor_per_s * self.config.window.as_secs_f64()
    }
}
