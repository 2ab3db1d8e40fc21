//! The types of the record: the data that console, report, gate and exit code read.
//!
//! These types *are* the file formats. Times are seconds from the run's start, latencies are whole microseconds. Maps
//! are ordered, so the same run writes the same bytes.

mod score;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use score::{
    Budget, Edge, Metastability, MetastabilityRow, Orders, PlannedDemand, Requests, Retries,
    Revenue, Score, StepSteady,
};

/// The value of `schema` in `run.json`. Readers refuse any other value.
pub const SCHEMA: &str = "doorbuster.run/1";

/// `run.json`: the summary of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The scenario's name.
    pub scenario: String,
    /// The seed that arrivals, shoppers and faults came from.
    pub seed: u64,
    /// The version of doorbuster that made the run.
    pub version: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// From the first phase's start to the last phase's end, or to the interruption.
    pub duration_s: f64,
    /// True if a signal ended the run early. The verdict is then [`Verdict::Invalid`].
    pub interrupted: bool,
    /// The condition that aborted the experiment, in words. The verdict is then [`Verdict::Fail`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted: Option<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why the verdict is not pass.
    pub reasons: Vec<String>,
    /// Size and digest of the plan.
    pub plan: PlanDigest,
    /// The generator's report on itself.
    pub generator: Generator,
    /// Every phase that the run entered, in order of time.
    pub phases: Vec<PhaseRow>,
    /// One row per step and measured phase, in the order of phases.
    pub steps: Vec<StepRow>,
    /// One row per injected fault, in order of time.
    pub faults: Vec<FaultRow>,
    /// Whether the goodput came back after the last fault. Absent if nothing was injected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metastability: Option<MetastabilityRow>,
    /// Services that crashed without being killed on purpose. They fail the run whatever it measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub crashes: Vec<String>,
    /// Each expectation with what was observed.
    pub expectations: Vec<ExpectationRow>,
    /// What the services hold, compared with what shoppers were promised.
    pub audit: AuditRow,
    /// One row per process.
    pub resources: Vec<ResourceRow>,
}

impl RunSummary {
    /// The summary of a run before anything was measured. Its verdict is [`Verdict::Invalid`] until the run is judged.
    pub fn new(
        scenario: &str,
        seed: u64,
        version: &str,
        started_at: Timestamp,
        plan: PlanDigest,
    ) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            scenario: scenario.to_owned(),
            seed,
            version: version.to_owned(),
            started_at: started_at.to_string(),
            duration_s: 0.0,
            interrupted: false,
            aborted: None,
            verdict: Verdict::Invalid,
            reasons: Vec::new(),
            plan,
            generator: Generator::default(),
            phases: Vec::new(),
            steps: Vec::new(),
            faults: Vec::new(),
            metastability: None,
            crashes: Vec::new(),
            expectations: Vec::new(),
            audit: AuditRow::default(),
            resources: Vec::new(),
        }
    }
}

/// The verdict on a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every expectation held and the measurement is valid.
    Pass,
    /// An expectation did not hold.
    Fail,
    /// The measurement cannot be trusted, so it proves neither pass nor fail.
    Invalid,
}

/// Size and digest of a plan. Equal digests mean equal arrivals, shoppers and faults.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanDigest {
    /// How many shoppers arrive.
    pub sessions: u64,
    /// How many steps they plan to take in total.
    pub steps: u64,
    /// SHA-256, in hex, of every arrival, every walk with its think times, and the times of every fault.
    pub digest: String,
}

/// The generator's report on itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Generator {
    /// Steps that were due during the run.
    pub offered: u64,
    /// Steps that were sent.
    pub sent: u64,
    /// Steps that were due and not sent, because the generator had no capacity left.
    pub dropped: u64,
    /// How late sends were.
    pub lateness_us: Lateness,
    /// False if the generator disturbed its own measurement.
    pub valid: bool,
}

/// How late sends were after their intended instant, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lateness {
    /// Median.
    pub p50: u64,
    /// 99th percentile.
    pub p99: u64,
    /// Maximum.
    pub max: u64,
}

/// Quantiles of a latency, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Minimum.
    #[serde(default)]
    pub min: u64,
    /// Median.
    pub p50: u64,
    /// 90th percentile.
    pub p90: u64,
    /// 95th percentile.
    pub p95: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    pub p999: u64,
    /// Maximum.
    pub max: u64,
}

/// One phase, as it happened.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PhaseRow {
    /// Its name in the scenario.
    pub name: String,
    /// When it began.
    pub from_s: f64,
    /// When it ended or was interrupted.
    pub to_s: f64,
    /// Whether its measurements count.
    pub measure: bool,
}

/// Counts and latencies of one step in one phase.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepRow {
    /// The step, such as `buy_confirm`.
    pub step: String,
    /// The phase in force at the step's intended instant.
    pub phase: String,
    /// How often it was taken.
    pub requests: u64,
    /// How often it got a good reply. A declined card is a good reply.
    pub ok: u64,
    /// How often it failed.
    pub failed: u64,
    /// Failures by kind: `http_503`, `timeout`, `connect`, …
    pub errors: BTreeMap<String, u64>,
    /// From the intended instant to the last byte, failed steps included.
    pub response_us: Quantiles,
    /// From the actual send to the last byte, failed steps included.
    pub service_us: Quantiles,
}

/// One injected fault.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultRow {
    /// Its name in the scenario.
    pub name: String,
    /// `latency`, `kill`, …
    pub kind: String,
    /// `bank`, `order/1`, …
    pub target: String,
    /// When it came into force.
    pub started_s: f64,
    /// When it ended.
    pub ended_s: f64,
    /// Requests that it affected, counted at the target. For a dead target, counted by its callers.
    pub hits: u64,
    /// What went wrong when it ended, such as a replica that could not be restarted.
    #[serde(default, rename = "trouble", skip_serializing_if = "Option::is_none")]
    pub end_error: Option<String>,
    /// How long after its start it was detected: the shoppers' measurements left the steady state, or a breaker opened
    /// on a path to the target. Absent if neither happened. Precise to the second, as everything from
    /// `intervals.jsonl`.
    pub detected_s: Option<f64>,
    /// What it was detected by in that second: `errors of buy_confirm`, `p90 of search_results`, `breaker
    /// cart→product`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detected_by: Vec<String>,
    /// How long after its end the shoppers' measurements were back in the steady state. Absent if they did not come
    /// back, zero if they never left it.
    pub recovered_s: Option<f64>,
    /// What it cost. Absent in old records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
}

/// The judgement of one expectation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ExpectationRow {
    /// The expectation in words: `buy_confirm p99 ≤ 800ms in steady`.
    pub text: String,
    /// Whether it held.
    pub held: bool,
    /// The observed value.
    pub observed: String,
    /// The cell of [`RunSummary::steps`] that it limits, if it limits one.
    #[serde(default, rename = "figure", skip_serializing_if = "Option::is_none")]
    pub metric: Option<StepMetric>,
}

/// One cell of the table of steps, so that a page or a terminal can mark it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepMetric {
    /// The step's name.
    pub step: String,
    /// The phase's name.
    pub phase: String,
    /// `p50`, `p90`, `p95`, `p99`, `p999` or `errors`.
    pub column: String,
    /// Its limit, as in the row's text: `800ms`, `1%`. Rows with the same step, column and limit differ only in their
    /// phase. Empty in old records.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub limit: String,
}

/// What the services hold, compared with what shoppers were promised.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// False if it could not be completed: services were unreachable, or orders were still moving when time ran out.
    pub complete: bool,
    /// Orders that a shopper was told are confirmed.
    pub orders_promised: u64,
    /// How many of those the order service holds as confirmed.
    pub orders_found: u64,
    /// Orders with an outcome that their shopper never learned. They may exist or not; both are right.
    pub orders_unknown: u64,
    /// How many of those are confirmed.
    #[serde(default)]
    pub unknown_came_true: u64,
    /// How many of those are cancelled or do not exist. The others were still under way.
    #[serde(default)]
    pub unknown_did_not: u64,
    /// All money that the bank took, in minor units, refunded or not.
    #[serde(default)]
    pub captured_minor: i64,
    /// All money that the bank refunded, in minor units.
    #[serde(default)]
    pub refunded_minor: i64,
    /// The total of confirmed orders, in minor units. It should equal what the bank took and did not refund.
    #[serde(default)]
    pub confirmed_minor: i64,
    /// Stock and money held for no order. Each is among the violations too.
    #[serde(default)]
    pub orphaned: Orphaned,
    /// Every contradiction, in words.
    pub violations: Vec<String>,
}

/// Stock and money held for no order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Orphaned {
    /// Stock held for an order that is missing or finished.
    pub reservations: u64,
    /// Payments that hold money, or wait for the bank, without a matching order.
    pub payments: u64,
    /// Money that the bank took without a captured payment.
    pub charges: u64,
}

/// Resource usage of one process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ResourceRow {
    /// Role, such as `order`.
    pub role: String,
    /// Replica, from 0.
    pub replica: u32,
    /// Largest resident set seen, restarts included.
    pub peak_rss_bytes: u64,
    /// CPU time, user and system, restarts included.
    pub cpu_s: f64,
}

/// One line of `intervals.jsonl`: one second.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// End of the second, from the run's start.
    pub t_s: f64,
    /// The phase in force at its end.
    pub phase: String,
    /// Whether that phase counts.
    pub measure: bool,
    /// Steps that were due.
    pub offered: u64,
    /// Steps that were sent.
    pub sent: u64,
    /// Steps that were due and not sent.
    pub dropped: u64,
    /// Sessions in progress.
    pub sessions_active: u64,
    /// Lateness of this second's sends.
    pub lateness_us: Lateness,
    /// All steps together, from their merged histograms.
    pub all: StepInterval,
    /// Per step, completed in this second.
    pub steps: BTreeMap<String, StepInterval>,
    /// State of each process: `order/1` → `ready`, `starting`, `paused` or `down`.
    pub services: BTreeMap<String, String>,
    /// Names of the faults in force at any time in this second.
    pub faults: Vec<String>,
    /// The demand of the plan in this second.
    #[serde(default)]
    pub planned: PlannedDemand,
    /// What services report about their calls to each other, by `cart→product`. Edges without calls are left out.
    /// Counted up to a tenth of a second before the end of this one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub callers: BTreeMap<String, Edge>,
}

/// One step in one second.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepInterval {
    /// How often it was completed.
    pub requests: u64,
    /// How often it got a good reply.
    pub ok: u64,
    /// How often it failed.
    pub failed: u64,
    /// Failures by kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, u64>,
    /// From the intended instant.
    pub response_us: Quantiles,
    /// From the actual send.
    pub service_us: Quantiles,
}

/// One line of `ledger.jsonl`: an order from its shopper's view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// When the reply, or its absence, became known.
    pub t_s: f64,
    /// The idempotency key the shopper sent.
    pub key: String,
    /// The shopper's user id.
    pub user_id: String,
    /// The outcome in the reply.
    pub outcome: OrderOutcome,
    /// The order's id, if the reply had one.
    pub order_id: Option<String>,
    /// The order's total in minor units, if the reply had one.
    pub total_minor: Option<i64>,
}

/// The outcome of an order from its shopper's view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderOutcome {
    /// Confirmed: a promise.
    Promised,
    /// Accepted, outcome pending. The order must be confirmed or cancelled in the end.
    Accepted,
    /// Refused for a business reason: declined card, out of stock. Nothing may be charged.
    Refused,
    /// No reply, or an error: the order may exist or not.
    Unknown,
}

/// One line of `faults.jsonl`: an event of a fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultEvent {
    /// When it happened.
    pub t_s: f64,
    /// The fault's name.
    pub fault: String,
    /// Its kind.
    pub kind: String,
    /// Its target.
    pub target: String,
    /// What happened.
    pub event: FaultEventKind,
    /// Hits so far, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hits: Option<u64>,
    /// Details: the error of a refused injection, the pid of a killed process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The events in the life of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultEventKind {
    /// The injector asked the target for it.
    Asked,
    /// The target applies it.
    InForce,
    /// It is over.
    Ended,
    /// It could not be injected, so the experiment is void.
    Refused,
}
