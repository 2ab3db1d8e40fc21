//! What a scenario expects, and whether the record meets it.
//!
//! ```yaml
//! expect:
//!   - { step: buy_confirm, p99: 800ms, errors: 1%, in: steady }
//!   - { recovery: 10s }
//!   - { goodput: back }
//!   - { audit: clean }
//! ```
//!
//! An expectation of a step has limits on `p50`, `p90`, `p95`, `p99`, `p999` (response times, from the intended
//! instant) or on `errors`. Each limit is judged alone and has its own row. With `in` it is judged in that phase.
//! Without `in` it is judged in **each** measured phase, one row per phase: a mean over phases could hide the phase
//! that matters. In a phase where the step was never taken the limit does not hold: an outage looks like that, because
//! no shopper gets as far as paying.
//!
//! [`conclude`] judges a whole run. [`judge()`] and [`verdict()`] are its two halves. All are pure functions of the record.

mod evidence;
mod expectation;
#[cfg(test)]
mod fixture;
mod judge;
mod read;
mod verdict;

pub use evidence::Evidence;
pub use expectation::{Expectation, Limit, Quantile};
pub(crate) use judge::goodput_seen;
pub use judge::judge;
pub use verdict::{exit_code, verdict};

use crate::record::RunSummary;

/// Judges a run: fills in the expectations, the verdict and the reasons of its summary.
///
/// `doubts` are the reasons of the generator and the audit why the measurement is not valid.
pub fn conclude(expectations: &[Expectation], summary: &mut RunSummary, doubts: &[String]) {
    let evidence = Evidence::of(summary, doubts);
    let judged = judge(expectations, &evidence);
    let (verdict, reasons) = verdict(expectations, &judged, &evidence);
    summary.expectations = judged;
    summary.verdict = verdict;
    summary.reasons = reasons;
}
