//! Live metrics of the load, for a Prometheus server that watches the run.
//!
//! They are recorded through the `metrics` facade to the recorder that the caller gives. Without a recorder there are
//! none. The record and the verdict do not use them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Label, Recorder, counter, gauge, histogram};

use crate::request::Failure;
use crate::stats::Timing;
use crate::step::Step;

/// The recorder of metrics. All workers share it.
pub type SharedRecorder = Arc<dyn Recorder + Send + Sync>;

/// Response time of a step, in seconds from its intended instant. Labels: `step`, `outcome` (`ok` or the failure's
/// name).
pub const RESPONSE: &str = "loadgen_request_duration_seconds";
/// Service time of a step, in seconds from its send. Labels: `step`, `outcome`.
pub const SERVICE: &str = "loadgen_service_duration_seconds";
/// How late sends were, in seconds after their intended instant.
pub const LATENESS: &str = "loadgen_send_lateness_seconds";
/// Sessions in progress.
pub const SESSIONS: &str = "loadgen_sessions_active";
/// Steps that were due.
pub const OFFERED: &str = "loadgen_requests_offered_total";
/// Steps that were sent.
pub const SENT: &str = "loadgen_requests_sent_total";
/// Steps that were due and not sent, because all sessions were in use.
pub const DROPPED: &str = "loadgen_requests_dropped_total";

/// Buckets of [`LATENESS`] in seconds. Normally a send is late by microseconds.
pub const LATENESS_BUCKETS: &[f64] = &[
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05,
    0.1, 0.5, 1.0,
];

/// Name and help text of every metric of the load.
pub const HELP: &[(&str, &str)] = &[
    (
        RESPONSE,
        "Response time of a shopper's step, from its intended instant",
    ),
    (SERVICE, "Service time of a shopper's step, from its send"),
    (LATENESS, "How late sends were"),
    (SESSIONS, "Sessions in progress"),
    (OFFERED, "Steps that were due"),
    (SENT, "Steps that were sent"),
    (DROPPED, "Steps that were due and not sent"),
];

/// Declares all series that are known before the load starts.
pub fn declare(recorder: SharedRecorder) {
    drop(LoadMetrics::declare(recorder));
}

/// Response time and service time of one step and outcome.
type LatencyHistograms = (Histogram, Histogram);

/// The metrics of one worker.
pub(crate) struct LoadMetrics {
    recorder: SharedRecorder,
    steps: BTreeMap<(Step, Option<Failure>), LatencyHistograms>,
    lateness: Histogram,
    sessions: Gauge,
    offered: Counter,
    sent: Counter,
    dropped: Counter,
}

impl LoadMetrics {
    /// Declares all series that are known beforehand, so that a rate over the first request is not lost.
    pub(crate) fn declare(recorder: SharedRecorder) -> Self {
        let mut load_metrics = metrics::with_local_recorder(&*recorder, || Self {
            recorder: recorder.clone(),
            steps: BTreeMap::new(),
            lateness: histogram!(LATENESS),
            sessions: gauge!(SESSIONS),
            offered: counter!(OFFERED),
            sent: counter!(SENT),
            dropped: counter!(DROPPED),
        });
        for step in Step::ALL {
            load_metrics.latencies(step, None);
        }
        load_metrics
    }

    /// Counts a step that is being sent.
    pub(crate) fn sent(&self, lateness: Duration) {
        self.offered.increment(1);
        self.sent.increment(1);
        self.lateness.record(lateness);
    }

    /// Counts a step that could not be sent.
    pub(crate) fn dropped(&self) {
        self.offered.increment(1);
        self.dropped.increment(1);
    }

    /// Counts a completed step.
    pub(crate) fn record(&mut self, step: Step, timing: Timing, result: Result<(), Failure>) {
        let (response, service) = self.latencies(step, result.err());
        response.record(timing.done.saturating_sub(timing.intended));
        service.record(timing.done.saturating_sub(timing.sent));
    }

    /// Counts a session that has begun.
    pub(crate) fn session_started(&self) {
        self.sessions.increment(1.0);
    }

    /// Counts a session that has ended.
    pub(crate) fn session_ended(&self) {
        self.sessions.decrement(1.0);
    }

    fn latencies(&mut self, step: Step, failure: Option<Failure>) -> &LatencyHistograms {
        let recorder = &self.recorder;
        self.steps.entry((step, failure)).or_insert_with(|| {
            let outcome = failure.map_or_else(|| "ok".to_owned(), |f| f.to_string());
            let labels = vec![
                Label::from_static_parts("step", step.name()),
                Label::new("outcome", outcome),
            ];
            metrics::with_local_recorder(&**recorder, || {
                (
                    histogram!(RESPONSE, labels.clone()),
                    histogram!(SERVICE, labels),
                )
            })
        })
    }
}
