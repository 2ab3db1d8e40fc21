//! One entry of a scenario's `expect`, as a type.

use std::time::Duration;

use crate::record::Quantiles;

/// One entry of a scenario's `expect`.
#[derive(Debug, Clone, PartialEq)]
pub enum Expectation {
    /// Limits on the measurements of a step.
    Step {
        /// The step's name.
        step: String,
        /// The phase it is judged in. Each measured phase if absent.
        in_phase: Option<String>,
        /// At least one, in the order of [`Quantile::ALL`], errors last.
        limits: Vec<Limit>,
    },
    /// Shoppers stop feeling every fault within this time of the fault's end.
    Recovery {
        /// The longest time allowed.
        within: Duration,
    },
    /// After the last fault, with the load as before, the goodput is as before: see [`crate::metastability`].
    GoodputBack,
    /// While a fault is felt, services make at most this many attempts per call.
    Attempts {
        /// Attempts over calls, at least 1.
        at_most: f64,
    },
    /// The audit was completed and found no contradiction.
    AuditClean,
}

impl Expectation {
    /// Whether it is about the effect of faults. It can then be judged only in a run with faults.
    pub fn needs_faults(&self) -> bool {
        match self {
            Self::Recovery { .. } | Self::GoodputBack | Self::Attempts { .. } => true,
            Self::Step { .. } | Self::AuditClean => false,
        }
    }
}

/// A limit on one measurement of a step. A value equal to the limit is within it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// On a quantile of the response time.
    Response {
        /// Which quantile.
        quantile: Quantile,
        /// The longest allowed time.
        at_most: Duration,
    },
    /// On the share of failed requests.
    Errors {
        /// The largest allowed share, 0 to 1.
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

    /// Its name in scenarios and in the record.
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
