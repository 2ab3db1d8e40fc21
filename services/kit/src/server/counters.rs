//! The counters of the server stack, and their series that are known beforehand.

use metrics::{counter, gauge};
use shop_resilience::{RetryReason, ShedReason};

use crate::Kit;
use crate::telemetry::names;

/// Why a request was refused that found no database connection, beside the reasons of the limit.
pub(super) const DATABASE: &str = "database";
/// The error of a request whose connection was reset, as its caller's client names it.
pub(super) const RESET: &str = RetryReason::Reset.as_str();
/// The usual errors of requests. A fault may add another status.
const FAILURES: [&str; 4] = ["500", "503", "504", RESET];

/// Sets every series that is known beforehand to zero, so that a rate over its first event is not lost.
pub(super) fn declare(kit: &Kit) {
    for reason in ShedReason::ALL.map(ShedReason::as_str) {
        shed(kit, reason, 0);
    }
    shed(kit, DATABASE, 0);
    for at in ["arrival", "work"] {
        deadline_missed(kit, at, 0);
    }
    for error in FAILURES {
        failed(kit, error, 0);
    }
    kit.metrics().record(|| {
        gauge!(names::HTTP_SERVER_ACTIVE).set(0.0);
        gauge!(names::TARGET_INFO, "service_version" => env!("CARGO_PKG_VERSION")).set(1.0);
    });
}

pub(super) fn deadline_missed(kit: &Kit, at: &'static str, requests: u64) {
    kit.metrics()
        .record(|| counter!(names::DEADLINES_MISSED, "at" => at).increment(requests));
}

pub(super) fn failed(kit: &Kit, error: impl Into<metrics::SharedString>, requests: u64) {
    kit.metrics()
        .record(|| counter!(names::FAILED, "error_type" => error.into()).increment(requests));
}

pub(super) fn shed(kit: &Kit, reason: &'static str, requests: u64) {
    kit.metrics()
        .record(|| counter!(names::SHED, "reason" => reason).increment(requests));
}
