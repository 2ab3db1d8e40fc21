//! The circuit breaker: an endpoint that keeps failing gets no requests for a while, and then a single one.
//!
//! The pattern is Nygard's (*Release It!*, 2007). There is one breaker per endpoint, not per service, so that one bad
//! replica does not shut out the others. Two conditions open it. Failures in a row detect an endpoint that is gone,
//! within a few requests. A low success rate detects one that fails every other request and so never fails five in a
//! row.

use std::time::Duration;

use crate::moment::Moment;
use crate::window::Window;

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerConfig {
    /// Failures in a row that open it, 5, as in Envoy's outlier detection and Finagle's failure accrual. At a failure
    /// rate of 10 % that happens by chance once in 100,000 requests.
    pub consecutive_failures: u32,
    /// It opens below this share of successes, 0.5. Half the answers are worth more than none; fewer are not, since
    /// each failure costs a retry elsewhere.
    pub min_success_ratio: f64,
    /// The share counts from this many results on, 20. At a true failure rate of 10 %, more than half of them fail by
    /// chance less than once in a million times.
    pub min_requests: u64,
    /// The share is taken over this window, 10 s: about the memory of the balancer.
    pub window: Duration,
    /// How long it stays open the first time, 1 s: a restart takes about that long, and linkerd begins there too.
    pub first_wait: Duration,
    /// Each failed probe doubles the time, up to this, 60 s. One request a minute to a dead endpoint costs nothing, and
    /// a revived one is found soon enough.
    pub longest_wait: Duration,
    /// A probe that has not reported after this time is given up and another one admitted, 10 s. It must be longer than
    /// any try's timeout: a probe reports its own timeout; this lease is for callers that vanish.
    pub probe_lease: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            consecutive_failures: 5,
            min_success_ratio: 0.5,
            min_requests: 20,
            window: Duration::from_secs(10),
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(60),
            probe_lease: Duration::from_secs(10),
        }
    }
}

/// The breaker of one endpoint as one caller sees it.
#[derive(Debug, Clone)]
pub struct Breaker {
    config: BreakerConfig,
    state: State,
    /// How long it stays open, or last stayed open.
    wait: Duration,
    /// Counts changes of state and probes. A result counts only in the era in which its request was admitted: a request
    /// that was sent before the breaker opened tells nothing about the endpoint afterwards.
    era: u64,
    window: Window<Results>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed { failures_in_a_row: u32 },
    Open { until: Moment },
    HalfOpen { leased_until: Option<Moment> },
}

#[derive(Debug, Clone, Copy, Default)]
struct Results {
    ok: u64,
    failed: u64,
}

/// The state, as `shop_circuit_breaker_state` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// Requests pass.
    Closed,
    /// One request, the probe, is in flight.
    HalfOpen,
    /// No request passes.
    Open,
}

impl BreakerState {
    /// The metric's value: 0 closed, 1 half-open, 2 open.
    pub const fn number(self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }
}

/// Whether a request may pass.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a probe that is dropped keeps everybody else out until its lease ends"]
pub enum Admission {
    /// It may.
    Yes(Pass),
    /// It may, and its result alone decides.
    Probe(Pass),
    /// It may not.
    No {
        /// When to ask again at the latest. While a probe is in flight it may be sooner.
        retry_in: Duration,
    },
}

/// Proof of admission, to be given back with the result, once.
#[derive(Debug, PartialEq, Eq)]
pub struct Pass {
    era: u64,
}

/// Slots of the success rate's window.
const SLOTS: u32 = 20;

impl Breaker {
    /// A closed breaker.
    pub fn new(config: BreakerConfig) -> Self {
        Self {
            config,
            state: State::Closed {
                failures_in_a_row: 0,
            },
            wait: config.first_wait,
            era: 0,
            window: Window::new(config.window, SLOTS, SLOTS as usize),
        }
    }

    /// Asks to pass. An open breaker whose time is over becomes half-open here.
    pub fn admit(&mut self, now: Moment) -> Admission {
        if let Some(until) = self.shut_until()
            && now < until
        {
            return Admission::No {
                retry_in: until.since(now),
            };
        }
        if let State::Closed { .. } = self.state {
            return Admission::Yes(Pass { era: self.era });
        }
        let leased_until = Some(now + self.config.probe_lease);
        self.enter(State::HalfOpen { leased_until });
        Admission::Probe(Pass { era: self.era })
    }

    /// Whether [`Self::admit`] would let a request pass now: for the list of endpoints to balance over.
    pub fn is_available(&self, now: Moment) -> bool {
        self.shut_until().is_none_or(|until| now >= until)
    }

    /// Whether it waits for a probe. A balancer that counts the failures would not send one by itself, so one request
    /// should go here whatever the endpoint's cost. That is rare: once per wait.
    pub fn wants_probe(&self, now: Moment) -> bool {
        self.state() != BreakerState::Closed && self.is_available(now)
    }

    /// Reports the result of an admitted request; `ok` is the negation of [`crate::Outcome::trips_breaker`].
    ///
    /// Returns the new state when it changed, for the log and the metric.
    pub fn on_result(&mut self, now: Moment, pass: Pass, ok: bool) -> Option<BreakerState> {
        if pass.era != self.era {
            return None;
        }
        match self.state {
            State::Closed { failures_in_a_row } => {
                let failures_in_a_row = if ok { 0 } else { failures_in_a_row + 1 };
                self.state = State::Closed { failures_in_a_row };
                let slot = self.window.at(now);
                *(if ok { &mut slot.ok } else { &mut slot.failed }) += 1;
                // A success never opens it, though it may complete the number from which the rate counts.
                if ok || !self.should_open(failures_in_a_row) {
                    return None;
                }
                self.wait = self.config.first_wait.min(self.config.longest_wait);
                self.open(now)
            }
            State::HalfOpen { .. } if ok => {
                self.window.clear();
                self.enter(State::Closed {
                    failures_in_a_row: 0,
                })
            }
            State::HalfOpen { .. } => {
                let doubled = self.wait.saturating_mul(2);
                self.wait = doubled.min(self.config.longest_wait);
                self.open(now)
            }
            // Opening begins an era in which nothing is admitted, so no pass belongs to it.
            State::Open { .. } => None,
        }
    }

    /// Gives a pass back without a result: the call was cancelled before it told anything about the endpoint. After a
    /// probe, the next request is the probe. A call that ran into its own timeout has a result: not ok.
    pub fn release(&mut self, pass: Pass) {
        if pass.era == self.era
            && let State::HalfOpen { leased_until } = &mut self.state
        {
            *leased_until = None;
        }
    }

    /// Its state. It stays open until a request asks to pass, even when its time is over.
    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    fn shut_until(&self) -> Option<Moment> {
        match self.state {
            State::Closed { .. } => None,
            State::Open { until } => Some(until),
            State::HalfOpen { leased_until } => leased_until,
        }
    }

    fn should_open(&self, failures_in_a_row: u32) -> bool {
        if failures_in_a_row >= self.config.consecutive_failures {
            return true;
        }
        let (ok, failed) = self
            .window
            .newest_first()
            .fold((0, 0), |(ok, failed), r| (ok + r.ok, failed + r.failed));
        let total = ok + failed;
        total >= self.config.min_requests
            && (ok as f64) < self.config.min_success_ratio * total as f64
    }

    fn open(&mut self, now: Moment) -> Option<BreakerState> {
        self.enter(State::Open {
            until: now + self.wait,
        })
    }

    fn enter(&mut self, state: State) -> Option<BreakerState> {
        self.state = state;
        self.era += 1;
        Some(self.state())
    }
}
