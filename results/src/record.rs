//! The shapes of the record: what a run leaves behind, and what console, report, gate and exit code read.
//!
//! These types *are* the file formats. Times are seconds from the run's start, latencies whole microseconds.
//! Maps are ordered, so that the same run writes the same bytes.

mod score;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use score::{
    Budget, Edge, Metastability, MetastabilityRow, Orders, PlannedDemand, Requests, Retries,
    Revenue, Score, StepSteady,
};

/// What `schema` in `run.json` says. Readers refuse a number they do not know.
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
    /// True when a signal ended the run before its time. Its verdict is then [`Verdict::Invalid`].
    pub interrupted: bool,
    /// The condition that stopped the experiment before its time, in words. Its verdict is then [`Verdict::Fail`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborted: Option<String>,
    /// What the run says in one word.
    pub verdict: Verdict,
    /// Why, when the verdict is not pass.
    pub reasons: Vec<String>,
    /// What was planned from the seed, before anything was sent.
    pub plan: PlanDigest,
    /// What the generator says of itself.
    pub generator: Generator,
    /// Every phase that the run entered, in the order of time.
    pub phases: Vec<PhaseRow>,
    /// A row per step and phase, measured phases only, in the order of phases.
    pub steps: Vec<StepRow>,
    /// A row per injected fault, in the order of time.
    pub faults: Vec<FaultRow>,
    /// Whether the goodput came back once the last fault was over; absent where nothing was injected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metastability: Option<MetastabilityRow>,
    /// Services that died without being killed on purpose. The shop is at fault then, whatever its figures are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub crashes: Vec<String>,
    /// Each expectation with what was observed.
    pub expectations: Vec<ExpectationRow>,
    /// What the services hold against what shoppers were promised.
    pub audit: AuditRow,
    /// A row per process.
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

/// What a run says in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every expectation held and the measurement is valid.
    Pass,
    /// An expectation did not hold.
    Fail,
    /// The measurement cannot be trusted, so neither pass nor fail may be said.
    Invalid,
}

/// What was decided from the seed alone. Equal plans mean equal arrivals, shoppers and faults.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanDigest {
    /// How many shoppers arrive.
    pub sessions: u64,
    /// How many steps they intend to take in all.
    pub steps: u64,
    /// SHA-256, in hex, of every arrival instant, every shopper's walk and think times, and every fault's times.
    pub digest: String,
}

/// The generator's account of itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Generator {
    /// Steps whose instant came during the run.
    pub offered: u64,
    /// Steps that were sent.
    pub sent: u64,
    /// Steps that were not sent, for want of capacity in the generator.
    pub dropped: u64,
    /// How much later than intended the sends were.
    pub lateness_us: Lateness,
    /// False when the generator itself disturbed what it measured.
    pub valid: bool,
}

/// How late sends were, in microseconds.
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

/// One phase, as it came about.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PhaseRow {
    /// Its name in the scenario.
    pub name: String,
    /// When it began.
    pub from_s: f64,
    /// When it ended, or was interrupted.
    pub to_s: f64,
    /// Whether it counts.
    pub measure: bool,
}

/// Counts and latencies of one step in one phase.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepRow {
    /// The step, such as `buy_confirm`.
    pub step: String,
    /// The phase it was taken in: the one in force at its intended instant.
    pub phase: String,
    /// Times it was taken.
    pub requests: u64,
    /// Answered as it should be. A declined card is an answer as it should be.
    pub ok: u64,
    /// Not answered as it should be.
    pub failed: u64,
    /// Failures by kind: `http_503`, `timeout`, `connect`, …
    pub errors: BTreeMap<String, u64>,
    /// From the intended instant to the last byte, failed attempts included.
    pub response_us: Quantiles,
    /// From the actual send to the last byte, failed attempts included.
    pub service_us: Quantiles,
}

/// One fault that was injected.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultRow {
    /// Its name in the scenario.
    pub name: String,
    /// `latency`, `kill`, …
    pub kind: String,
    /// `bank`, `order/1`, …
    pub target: String,
    /// When it was in force.
    pub started_s: f64,
    /// When it no longer was.
    pub ended_s: f64,
    /// Requests that it touched, counted at the target or, for a dead target, by its callers.
    pub hits: u64,
    /// What did not go as it should when it ended: a replica that could not be started again.
    #[serde(default, rename = "trouble", skip_serializing_if = "Option::is_none")]
    pub end_error: Option<String>,
    /// How long after its start it was noticed: the shoppers' figures left the steady state, or a breaker opened on
    /// the way to the target. Absent when neither happened. To the second, as all that follows from `intervals.jsonl`.
    pub detected_s: Option<f64>,
    /// What it was noticed by in that second: `errors of buy_confirm`, `p90 of search_results`, `breaker cart→product`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detected_by: Vec<String>,
    /// How long after its end the shoppers' figures were back in the steady state; absent when they were not, zero when
    /// they had never left it.
    pub recovered_s: Option<f64>,
    /// What it cost. Absent in records from before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
}

/// One expectation of the scenario, judged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ExpectationRow {
    /// The expectation in words: `buy_confirm p99 ≤ 800ms in steady`.
    pub text: String,
    /// Whether it held.
    pub held: bool,
    /// What was seen instead of, or within, the limit.
    pub observed: String,
    /// The figure of [`RunSummary::steps`] that it is about, where it is about one.
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
    /// The limit on it, as in the row's text: `800ms`, `1%`. Rows of one step, column and limit differ in their
    /// phase alone. Empty in records from before it was kept.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub limit: String,
}

/// What the services hold against what shoppers were promised.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// False when it could not be made: services unreachable, or orders still moving when time ran out.
    pub complete: bool,
    /// Orders that a shopper was told are confirmed.
    pub orders_promised: u64,
    /// Of those, how many the order service holds as confirmed.
    pub orders_found: u64,
    /// Orders whose outcome no shopper ever learned (they may exist or not; either is right).
    pub orders_unknown: u64,
    /// Of those, how many are confirmed.
    #[serde(default)]
    pub unknown_came_true: u64,
    /// Of those, how many are cancelled or do not exist. What is neither was still under way.
    #[serde(default)]
    pub unknown_did_not: u64,
    /// What the bank ever took, in minor units, whether or not it gave it back.
    #[serde(default)]
    pub captured_minor: i64,
    /// What the bank gave back, in minor units.
    #[serde(default)]
    pub refunded_minor: i64,
    /// What the confirmed orders come to, in minor units: what the bank took and did not give back, if all is well.
    #[serde(default)]
    pub confirmed_minor: i64,
    /// What is left over from orders that need it no more, or never were. Each is among the violations, too.
    #[serde(default)]
    pub orphaned: Orphaned,
    /// Every contradiction, in words.
    pub violations: Vec<String>,
}

/// What is kept for nobody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Orphaned {
    /// Stock held for an order that does not exist or has come to its end.
    pub reservations: u64,
    /// Payments that keep money, or wait for the bank, without an order that they could be for.
    pub payments: u64,
    /// Money that the bank has taken for no captured payment.
    pub charges: u64,
}

/// What one process used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ResourceRow {
    /// Role, such as `order`.
    pub role: String,
    /// Replica, from 0.
    pub replica: u32,
    /// Largest resident set that was seen, restarts included.
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
    /// Steps whose instant came.
    pub offered: u64,
    /// Steps that were sent.
    pub sent: u64,
    /// Steps that were dropped.
    pub dropped: u64,
    /// Shoppers in the shop.
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
    /// What the plan has in this second.
    #[serde(default)]
    pub planned: PlannedDemand,
    /// What services say of those that they call, `cart→product`, where anything is to be said. Counted up to a tenth
    /// of a second before the end of this one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub callers: BTreeMap<String, Edge>,
}

/// One step in one second.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepInterval {
    /// Times it was completed.
    pub requests: u64,
    /// Answered as it should be.
    pub ok: u64,
    /// Not answered as it should be.
    pub failed: u64,
    /// Failures by kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, u64>,
    /// From the intended instant.
    pub response_us: Quantiles,
    /// From the actual send.
    pub service_us: Quantiles,
}

/// One line of `ledger.jsonl`: an order as its shopper knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// When the answer, or the lack of one, became known.
    pub t_s: f64,
    /// The idempotency key the shopper sent.
    pub key: String,
    /// The shopper's user id.
    pub user_id: String,
    /// What the shopper was told.
    pub outcome: OrderOutcome,
    /// The order's id, where one was told.
    pub order_id: Option<String>,
    /// The order's total in minor units, where one was told.
    pub total_minor: Option<i64>,
}

/// What a shopper was told of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderOutcome {
    /// Confirmed: a promise.
    Promised,
    /// Accepted, outcome to follow: it must reach an end, either one.
    Accepted,
    /// Refused for a reason of business: declined card, out of stock. Nothing may be charged.
    Refused,
    /// No answer, or one that says nothing: the order may exist or not.
    Unknown,
}

/// One line of `faults.jsonl`: something that happened to a fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultEvent {
    /// When.
    pub t_s: f64,
    /// The fault's name.
    pub fault: String,
    /// Its kind.
    pub kind: String,
    /// Its target.
    pub target: String,
    /// What happened.
    pub event: FaultEventKind,
    /// Requests touched so far, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hits: Option<u64>,
    /// More in words: the error of a refused injection, the pid that was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The stations of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultEventKind {
    /// The injector asked the target for it.
    Asked,
    /// The target has it.
    InForce,
    /// It is over.
    Ended,
    /// It could not be injected; the experiment is void.
    Refused,
}
