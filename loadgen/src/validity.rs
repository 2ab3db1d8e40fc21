//! Whether the generator's measurement can be trusted. The generator is part of what it measures, so it checks itself.
//!
//! | doubt | limit | reason for the limit |
//! |---|---|---|
//! | steps that were not sent | 0.1 % of the steps offered | they would have had the slowest replies |
//! | p99 lateness of sends | 10 ms, or 10 % of the p99 response time | response times contain the lateness; two runs differ by as much |
//! | longest stall | 500 ms | a shared machine pauses for 50 to 100 ms; for more when suspended, swapping or starved |
//!
//! The larger limit on lateness counts. A stall is the lateness of a send or of the worker's heartbeat. The heartbeat shows a generator that was stopped
//! while nothing was due: it did not measure during that time either.

use std::time::Duration;

use results::record::Lateness;

/// Largest share of the offered steps that may be missing.
const MAX_MISSING: f64 = 0.001;
/// A p99 lateness up to this is always accepted.
const MAX_LATENESS: Duration = Duration::from_millis(10);
/// Largest p99 lateness, as a share of the p99 response time.
const MAX_LATENESS_SHARE: f64 = 0.1;
/// The longest stall.
const MAX_STALL: Duration = Duration::from_millis(500);

/// What the generator measured about itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SelfMeasurement {
    pub(crate) offered: u64,
    pub(crate) dropped: u64,
    /// Steps that failed because the generator ran out of sockets.
    pub(crate) own_failures: u64,
    pub(crate) lateness_us: Lateness,
    /// The largest lateness of a heartbeat.
    pub(crate) stall: Duration,
    /// p99 of all response times.
    pub(crate) response_p99_us: u64,
}

/// Every reason not to trust the measurement, in words. Empty when it is valid.
pub(crate) fn doubts(own: &SelfMeasurement) -> Vec<String> {
    let mut doubts = Vec::new();
    if own.offered == 0 {
        doubts.push("nothing was offered: no shopper arrived".to_owned());
    }
    let missing = own.dropped + own.own_failures;
    if missing as f64 > own.offered as f64 * MAX_MISSING {
        doubts.push(format!(
            "{missing} of {} steps were not sent because the generator had no capacity left; raise `max_sessions` or the \
             limit on open files, or lower the arrival rate",
            own.offered
        ));
    }
    let late_limit =
        (MAX_LATENESS.as_micros() as f64).max(own.response_p99_us as f64 * MAX_LATENESS_SHARE);
    if own.lateness_us.p99 as f64 > late_limit {
        doubts.push(format!(
            "sends were {} ms late at the 99th percentile; give the generator more CPU time",
            own.lateness_us.p99 / 1000
        ));
    }
    let stall = own.stall.max(Duration::from_micros(own.lateness_us.max));
    if stall > MAX_STALL {
        doubts.push(format!(
            "the generator stalled for {} ms; nothing was measured meanwhile",
            stall.as_millis()
        ));
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet() -> SelfMeasurement {
        SelfMeasurement {
            offered: 10_000,
            lateness_us: Lateness {
                p50: 40,
                p99: 900,
                max: 100_000,
            },
            stall: Duration::from_millis(100),
            response_p99_us: 30_000,
            ..SelfMeasurement::default()
        }
    }

    fn late(p99: u64, max: u64) -> Lateness {
        Lateness { p50: 40, p99, max }
    }

    #[test]
    fn the_noise_of_a_shared_machine_is_accepted() {
        assert_eq!(doubts(&quiet()), Vec::<String>::new());
    }

    #[test]
    fn a_generator_that_stalled_is_not_trusted() {
        let by_send = SelfMeasurement {
            lateness_us: late(900, 1_950_000),
            ..quiet()
        };
        let by_heartbeat = SelfMeasurement {
            stall: Duration::from_millis(1200),
            ..quiet()
        };
        for own in [by_send, by_heartbeat] {
            let reasons = doubts(&own);
            assert_eq!(reasons.len(), 1);
            assert!(reasons[0].contains("stalled"), "{reasons:?}");
        }
    }

    #[test]
    fn lateness_is_compared_with_the_response_time() {
        let own = SelfMeasurement {
            lateness_us: late(20_000, 50_000),
            ..quiet()
        };
        assert_eq!(doubts(&own).len(), 1);
        let slow_shop = SelfMeasurement {
            response_p99_us: 900_000,
            ..own
        };
        assert!(doubts(&slow_shop).is_empty());
    }

    #[test]
    fn steps_not_sent_and_an_empty_load_are_doubts() {
        let dropping = |dropped, own_failures| {
            doubts(&SelfMeasurement {
                dropped,
                own_failures,
                ..quiet()
            })
        };
        assert!(dropping(10, 0).is_empty());
        assert_eq!(dropping(11, 0).len(), 1);
        assert_eq!(dropping(6, 5).len(), 1);
        assert_eq!(doubts(&SelfMeasurement::default()).len(), 1);
    }
}
