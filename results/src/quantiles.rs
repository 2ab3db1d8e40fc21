//! The histogram configuration of the project, and the summary of a histogram as a row of the record.
//!
//! Histograms of one configuration can be added without loss, quantiles cannot. So threads, seconds and phases are
//! merged as histograms, and quantiles are computed last.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::record::{Lateness, Quantiles};

/// The longest latency that a histogram resolves. Longer ones count as this value: no shopper waits for a minute.
pub const MAX_LATENCY: Duration = Duration::from_secs(60);

/// Significant decimal digits of a recorded value: 0.1 %, finer than two runs on one machine agree.
pub const DIGITS: u8 = 3;

/// An empty histogram of latencies in microseconds, from 1 µs to [`MAX_LATENCY`].
pub fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MAX_LATENCY.as_micros() as u64, DIGITS)
        .expect("bounds and digits are constants that the histogram accepts")
}

/// Records one latency, in whole microseconds. A value outside the bounds counts as the bound.
pub fn record(histogram: &mut Histogram<u64>, latency: Duration) {
    histogram.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
}

impl Quantiles {
    /// The quantiles of a histogram of microseconds. All zero if it is empty.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile);
        Self {
            min: histogram.min(),
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max(),
        }
    }
}

impl Lateness {
    /// The summary of a histogram of microseconds. All zero if it is empty.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        Self {
            p50: histogram.value_at_quantile(0.5),
            p99: histogram.value_at_quantile(0.99),
            max: histogram.max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_samples_to_three_digits() {
        let mut histogram = new_histogram();
        for ms in 1..=1000 {
            record(&mut histogram, Duration::from_millis(ms));
        }
        let found = Quantiles::of(&histogram);
        for (seen, truth) in [
            (found.p50, 500_000.0),
            (found.p90, 900_000.0),
            (found.p95, 950_000.0),
            (found.p99, 990_000.0),
            (found.p999, 999_000.0),
            (found.max, 1_000_000.0),
        ] {
            let off = (seen as f64 - truth).abs() / truth;
            assert!(off <= 0.001, "{seen} for {truth}");
        }
        let late = Lateness::of(&histogram);
        assert_eq!(
            (late.p50, late.p99, late.max),
            (found.p50, found.p99, found.max)
        );
    }

    #[test]
    fn an_empty_histogram_gives_zeros() {
        assert_eq!(Quantiles::of(&new_histogram()), Quantiles::default());
        assert_eq!(Lateness::of(&new_histogram()), Lateness::default());
    }

    #[test]
    fn a_latency_outside_the_bounds_counts_as_the_bound() {
        let mut histogram = new_histogram();
        record(&mut histogram, Duration::from_secs(3600));
        record(&mut histogram, Duration::ZERO);
        assert_eq!(histogram.len(), 2);
        assert!(histogram.equivalent(histogram.max(), 60_000_000));
    }
}
