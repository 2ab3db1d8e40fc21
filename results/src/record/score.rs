//! The shapes of the scorecard. How its figures come about is told in [`crate::scorecard`] and
//! [`crate::metastability`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What the plan has in one second: who would come and what they would do if every answer came at once. It follows from
/// the seed alone, so a shop that fails has the same demand as one that does not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlannedDemand {
    /// Arrivals per second that the scenario asks for, on average over the second.
    pub arrival_rate: f64,
    /// Shoppers that arrive.
    pub sessions: u64,
    /// Steps of their walks, logging in not counted.
    pub steps: u64,
    /// Of those, purchases.
    pub purchases: u64,
}

/// What the callers of one role told in one second of another one that they call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Edge {
    /// Requests sent, repeated ones included.
    pub attempts: u64,
    /// Of those, without an answer or with one of 500 and more.
    pub failures: u64,
    /// Attempts that were decided on after another one had failed.
    pub retries: u64,
    /// Whether any breaker on this edge was not closed when the caller was asked.
    pub breaker_open: bool,
}

/// What one fault cost. Everything but counts is an estimate, and says against what it was made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The seconds that are held against the fault: from its start …
    pub from_s: f64,
    /// … until recovery; until its end where it was never felt, until the end of the record where nothing recovered.
    pub to_s: f64,
    /// Share of failed requests in the seconds before. Absent, like all that compares with it, when nothing was
    /// measured before.
    pub steady_error_ratio: Option<f64>,
    /// The steps that left their steady state, as they were before.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub steady: BTreeMap<String, StepSteady>,
    /// How long after its start the shoppers' figures left the steady state, whatever the breakers did.
    pub felt_s: Option<f64>,
    /// Breakers on the way to the target that opened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breakers: Vec<String>,
    /// Requests of shoppers.
    pub requests: Requests,
    /// Orders; absent where the record has no plan to expect any from.
    pub orders: Option<Orders>,
    /// Revenue; absent with orders.
    pub revenue: Option<Revenue>,
    /// Attempts per call among the services that call the target. Absent where none was seen calling it.
    pub retries: Option<Retries>,
    /// The same among all services of the shop.
    pub retries_everywhere: Option<Retries>,
    /// The error budget.
    pub budget: Budget,
    /// What cannot be known, and why, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

/// How a step was before a fault.
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
    /// All of them.
    pub all: u64,
    /// Those that failed.
    pub failed: u64,
    /// Failed, or slower than the steady state allows, beyond what there was of that before: at least so many.
    pub affected: Option<u64>,
}

/// Orders while a fault was felt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Orders {
    /// Promised to their shoppers.
    pub promised: u64,
    /// How many would have been, had as many of the planned purchases succeeded as before.
    pub expected: f64,
    /// What chance alone moves that by: two standard deviations.
    pub margin: f64,
    /// Taken on, their outcome to follow.
    pub accepted: u64,
    /// Refused for a reason of business.
    pub refused: u64,
    /// Whose shopper never learned the outcome.
    pub unknown: u64,
}

/// Revenue while a fault was felt, in minor units, as promised to shoppers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Revenue {
    /// Promised.
    pub promised_minor: i64,
    /// What would have been, had each planned purchase been worth as much as before.
    pub expected_minor: i64,
    /// What chance alone moves that by: two standard deviations.
    pub margin_minor: i64,
}

/// Attempts per call: 1 when nothing is tried again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Retries {
    /// In the seconds before; absent when there was no call.
    pub before: Option<f64>,
    /// While the fault was felt.
    pub during: Option<f64>,
}

/// The errors that were allowed, and how many there were.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Requests that failed.
    pub failed: u64,
    /// Requests that might have failed: of each step the share that the scenario allows, 1 % where it says nothing.
    pub allowed: f64,
    /// Failed over allowed: above 1, more than the budget of this time was spent. Absent where none may fail.
    pub spent: Option<f64>,
    /// The step that overspent its own part by most requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst: Option<String>,
}

/// Whether a shop gets well by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metastability {
    /// The trigger is gone, the load is as before, and so is the goodput.
    Recovered,
    /// The trigger is gone and the load is as before, but the goodput stays away.
    Metastable,
    /// The record does not say.
    #[default]
    #[serde(rename = "not_enough_said")]
    Unknown,
}

/// Whether the goodput came back once the last fault was over. Rates are per second.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MetastabilityRow {
    /// The verdict.
    pub verdict: Metastability,
    /// End of the last fault.
    pub trigger_ended_s: f64,
    /// Arrivals asked for, before the first fault.
    pub arrivals_before: f64,
    /// Arrivals asked for, in the last seconds.
    pub arrivals_after: f64,
    /// Steps answered as they should be, before the first fault.
    pub ok_before: f64,
    /// Steps answered as they should be, in the last seconds.
    pub ok_after: f64,
    /// Goodput, before the first fault: steps answered as they should be, over those planned.
    pub goodput_before: f64,
    /// Goodput, in the last seconds.
    pub goodput_after: f64,
    /// Why nothing can be said, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}
