//! The types of the scorecard. [`crate::scorecard`] and [`crate::metastability`] explain how the values are computed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The demand of the plan in one second: what shoppers would do if every reply came at once. It follows from the seed
/// alone, so it does not depend on the shop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlannedDemand {
    /// Mean arrival rate of the scenario in this second, per second.
    pub arrival_rate: f64,
    /// Shoppers that arrive.
    pub sessions: u64,
    /// Steps of their walks, logins not counted.
    pub steps: u64,
    /// How many of those steps are purchases.
    pub purchases: u64,
}

/// The calls of one role to another in one second, as the callers counted them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Edge {
    /// Requests sent, retries included.
    pub attempts: u64,
    /// Attempts without a reply, or with a status of 500 or more.
    pub failures: u64,
    /// Attempts made because another one had failed.
    pub retries: u64,
    /// Whether a breaker on this edge was half-open or open when the caller was scraped.
    pub breaker_open: bool,
}

/// What one fault cost. Everything but counts is an estimate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Start of the time window that is charged to the fault: its own start.
    pub from_s: f64,
    /// End of that window: recovery. The fault's end if it was never felt, and the end of the record if there was no
    /// recovery.
    pub to_s: f64,
    /// Share of failed requests in the seconds before. Absent, with every value that is compared to it, if nothing was
    /// measured before.
    pub steady_error_ratio: Option<f64>,
    /// The steps that left their steady state, with that state.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub steady: BTreeMap<String, StepSteady>,
    /// How long after its start the shoppers' measurements left the steady state, regardless of breakers.
    pub felt_s: Option<f64>,
    /// Breakers on paths to the target that opened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breakers: Vec<String>,
    /// Requests of shoppers.
    pub requests: Requests,
    /// Orders. Absent if the record has no plan to estimate the expected number from.
    pub orders: Option<Orders>,
    /// Revenue. Absent together with orders.
    pub revenue: Option<Revenue>,
    /// Attempts per call among the services that call the target. Absent if no service was seen calling it.
    pub retries: Option<Retries>,
    /// Attempts per call among all services of the shop.
    pub retries_everywhere: Option<Retries>,
    /// The error budget.
    pub budget: Budget,
    /// Values that are unknown, and why, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

/// The steady state of a step before a fault.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct StepSteady {
    /// Share of failed requests.
    pub error_ratio: f64,
    /// Its typical p90, in microseconds from the intended instant.
    pub p90_us: u64,
}

/// Requests of shoppers while a fault was felt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// All requests.
    pub all: u64,
    /// Failed requests.
    pub failed: u64,
    /// Lower bound of the requests that failed or were slower than the steady state allows, minus the number expected
    /// from the time before.
    pub affected: Option<u64>,
}

/// Orders while a fault was felt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Orders {
    /// Orders promised to their shoppers.
    pub promised: u64,
    /// Orders expected if planned purchases had succeeded at the rate of the time before.
    pub expected: f64,
    /// Variation of that estimate by chance: two standard deviations.
    pub margin: f64,
    /// Orders accepted, outcome pending.
    pub accepted: u64,
    /// Orders refused for a business reason.
    pub refused: u64,
    /// Orders whose outcome their shopper never learned.
    pub unknown: u64,
}

/// Revenue while a fault was felt, in minor units, as promised to shoppers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Revenue {
    /// Promised revenue.
    pub promised_minor: i64,
    /// Revenue expected if planned purchases had been worth as much as before.
    pub expected_minor: i64,
    /// Variation of that estimate by chance: two standard deviations.
    pub margin_minor: i64,
}

/// Attempts per call. 1 means no retries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Retries {
    /// In the seconds before. Absent if there was no call.
    pub before: Option<f64>,
    /// While the fault was felt.
    pub during: Option<f64>,
}

/// The error budget and how much of it was spent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Requests that failed.
    pub failed: u64,
    /// Requests that were allowed to fail: per step the share that the scenario allows, else 1 %.
    pub allowed: f64,
    /// Failed over allowed. Above 1 the budget of this time was overspent. Absent if no failure was allowed.
    pub spent: Option<f64>,
    /// The step that overspent its budget by the most requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst: Option<String>,
}

/// Whether a shop recovers on its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metastability {
    /// The trigger is gone, the load is as before, and so is the goodput.
    Recovered,
    /// The trigger is gone and the load is as before, but the goodput did not come back.
    Metastable,
    /// The record has too little data.
    #[default]
    #[serde(rename = "not_enough_said")]
    Unknown,
}

/// Whether the goodput came back after the last fault. Rates are per second.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MetastabilityRow {
    /// The verdict.
    pub verdict: Metastability,
    /// End of the last fault.
    pub trigger_ended_s: f64,
    /// Arrival rate of the scenario before the first fault.
    pub arrivals_before: f64,
    /// Arrival rate of the scenario in the last seconds.
    pub arrivals_after: f64,
    /// Successful steps before the first fault.
    pub ok_before: f64,
    /// Successful steps in the last seconds.
    pub ok_after: f64,
    /// Goodput before the first fault: successful steps over planned steps.
    pub goodput_before: f64,
    /// Goodput in the last seconds.
    pub goodput_after: f64,
    /// Why the verdict is unknown, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}
