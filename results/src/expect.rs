//! What a scenario expects, and whether the record holds it.
//!
//! ```yaml
//! expect:
//!   - { step: buy_confirm, p99: 800ms, errors: 1%, in: steady }
//!   - { recovery: 10s }
//!   - { goodput: back }
//!   - { audit: clean }
//! ```
//!
//! An expectation of a step may have limits on `p50`, `p90`, `p95`, `p99`, `p999` (response times, from the
//! intended instant) and on `errors`. Each limit is judged by itself and gets a row by itself. With `in` it is
//! judged in that phase. Without, it is judged in **each** measured phase, and a row for each says how it went:
//! a mean over phases could hide the very phase that matters. In a phase where the step was never taken nothing
//! can be said to hold, so it does not: that no shopper got as far as paying is what an outage looks like.
//!
//! [`judge`] and [`verdict`] are pure functions of the record's rows.

mod judge;
mod read;
mod verdict;

use std::time::Duration;

use crate::record::{
    AuditRow, FaultRow, Generator, MetastabilityRow, PhaseRow, Quantiles, RunSummary, StepRow,
};

pub(crate) use judge::goodput_seen;
pub use judge::judge;
pub use verdict::{exit_code, verdict};

/// One entry of a scenario's `expect`.
#[derive(Debug, Clone, PartialEq)]
pub enum Expectation {
    /// Limits on the figures of a step.
    Step {
        /// The step's name.
        step: String,
        /// The phase it is judged in; each measured one when absent.
        in_phase: Option<String>,
        /// At least one, in the order of [`Quantile::ALL`], errors last.
        limits: Vec<Limit>,
    },
    /// Every fault's aftermath is over within this time of the fault's end.
    Recovery {
        /// The longest time allowed.
        within: Duration,
    },
    /// Once the last fault was over and the load was as before, so was the goodput: see [`crate::metastability`].
    GoodputBack,
    /// While a fault is felt, the shop's services make at most so many attempts per call.
    Attempts {
        /// Attempts over calls, from 1.
        at_most: f64,
    },
    /// The audit was made and found no contradiction.
    AuditClean,
}

impl Expectation {
    /// Whether it is about what faults do, and can be judged only where there are some.
    pub fn is_of_faults(&self) -> bool {
        match self {
            Self::Recovery { .. } | Self::GoodputBack | Self::Attempts { .. } => true,
            Self::Step { .. } | Self::AuditClean => false,
        }
    }
}

/// A limit on one figure of a step. What is equal to the limit is within it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// On a quantile of the response time.
    Response {
        /// Which.
        quantile: Quantile,
        /// The longest allowed.
        at_most: Duration,
    },
    /// On the share of failed requests.
    Errors {
        /// The largest allowed, 0 to 1.
        at_most: f64,
    },
}

/// The quantiles that a scenario may limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantile {
    /// Median.
    P50,
    /// 90th percentile.
    P90,
    /// 95th percentile.
    P95,
    /// 99th percentile.
    P99,
    /// 99.9th percentile.
    P999,
}

impl Quantile {
    /// All of them, lowest first.
    pub const ALL: [Self; 5] = [Self::P50, Self::P90, Self::P95, Self::P99, Self::P999];

    /// As scenarios and the record write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::P999 => "p999",
        }
    }

    /// Its value, in microseconds.
    pub fn of(self, quantiles: &Quantiles) -> u64 {
        match self {
            Self::P50 => quantiles.p50,
            Self::P90 => quantiles.p90,
            Self::P95 => quantiles.p95,
            Self::P99 => quantiles.p99,
            Self::P999 => quantiles.p999,
        }
    }
}

/// The rows of the record that expectations and the verdict are judged on.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'r> {
    /// The phases that the run entered.
    pub phases: &'r [PhaseRow],
    /// The steps of measured phases.
    pub steps: &'r [StepRow],
    /// The faults that the scenario has.
    pub faults: &'r [FaultRow],
    /// Whether the goodput came back; none where nothing was injected.
    pub metastability: Option<&'r MetastabilityRow>,
    /// Services that died by themselves.
    pub crashes: &'r [String],
    /// The audit.
    pub audit: &'r AuditRow,
    /// The generator's account of itself.
    pub generator: &'r Generator,
    /// Whether a signal ended the run before its time.
    pub interrupted: bool,
}

impl<'r> Evidence<'r> {
    /// The evidence in a summary, whose own expectations, verdict and reasons are not looked at.
    pub fn of(summary: &'r RunSummary) -> Self {
        Self {
            phases: &summary.phases,
            steps: &summary.steps,
            faults: &summary.faults,
            metastability: summary.metastability.as_ref(),
            crashes: &summary.crashes,
            audit: &summary.audit,
            generator: &summary.generator,
            interrupted: summary.interrupted,
        }
    }

    fn step(&self, step: &str, phase: &str) -> Option<&'r StepRow> {
        self.steps
            .iter()
            .find(|row| row.step == step && row.phase == phase && row.requests > 0)
    }
}
