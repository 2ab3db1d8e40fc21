//! How long a request takes without congestion: a long-term minimum of smoothed latency.

use std::time::Duration;

use crate::moment::Moment;

/// The minimum is that of the current epoch and the one before. It looks back five to ten minutes and forgets what is
/// older: a shop with ten times the orders in its tables has a new minimum. BBR filters its minimum round-trip time by
/// a window in the same way. BBR's window is shorter, as it can drain the path to measure again; this limit cannot stop
/// the shop.
const EPOCH: Duration = Duration::from_secs(300);

/// Requests over which latency is smoothed. The minimum of noisy means is far below the usual latency. Over 200
/// requests with exponentially distributed latencies the mean varies by 5 % (1/√400, as an average that forgets over n
/// has the variance of one over 2n).
const SMOOTHED_OVER: f64 = 200.0;

/// No latency counts as less than this, in seconds: a division by zero is no congestion.
const LEAST_S: f64 = 1e-6;

/// The baseline of one priority.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Baseline {
    requests: f64,
    smoothed_s: f64,
    epoch_began: Moment,
    least_s: Option<f64>,
    least_before_s: Option<f64>,
}

impl Baseline {
    /// Adds the mean latency of some requests, in seconds, and returns the minimum up to now, above zero.
    ///
    /// Until [`SMOOTHED_OVER`] requests it is their plain mean. The minimum begins only then: a few quick requests at
    /// the start would otherwise count against all others for minutes.
    pub(super) fn update(&mut self, now: Moment, mean_s: f64, requests: f64) -> f64 {
        self.requests += requests;
        let forgets = 1.0 - (-requests / SMOOTHED_OVER).exp();
        let weight = forgets.max(requests / self.requests);
        self.smoothed_s = (self.smoothed_s * (1.0 - weight) + mean_s * weight).max(LEAST_S);
        if self.requests < SMOOTHED_OVER {
            return self.smoothed_s;
        }
        if now.since(self.epoch_began) >= EPOCH {
            self.least_before_s = self.least_s.take();
            self.epoch_began = now;
        }
        let least = self.least_s.unwrap_or(f64::MAX).min(self.smoothed_s);
        self.least_s = Some(least);
        self.least_before_s.unwrap_or(f64::MAX).min(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Moment {
        Moment::after_origin(Duration::from_secs(secs))
    }

    #[test]
    fn a_slow_hour_does_not_raise_it_at_once_but_in_the_end() {
        let mut baseline = Baseline::default();
        assert_eq!(baseline.update(at(0), 0.01, 1000.0), 0.01);
        assert_eq!(baseline.update(at(100), 0.1, 1000.0), 0.01);
        assert_eq!(baseline.update(at(300), 0.1, 1000.0), 0.01);
        assert_eq!(baseline.update(at(599), 0.1, 1000.0), 0.01);
        assert!(baseline.update(at(600), 0.1, 1000.0) > 0.09);
    }

    #[test]
    fn a_few_quick_requests_hardly_lower_it() {
        let mut baseline = Baseline::default();
        baseline.update(at(0), 0.1, 1000.0);
        assert!(baseline.update(at(1), 0.001, 10.0) > 0.09);
    }

    #[test]
    fn the_first_few_requests_do_not_settle_it() {
        let mut baseline = Baseline::default();
        assert_eq!(baseline.update(at(0), 0.001, 10.0), 0.001);
        assert!(baseline.update(at(1), 0.1, 190.0) > 0.09);
    }
}
