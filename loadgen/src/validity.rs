//! Whether the generator's figures can be trusted. It is part of what it measures, so it judges itself first.
//!
//! | doubt | limit | why there |
//! |---|---|---|
//! | load that was not sent | 0.1 % of what was offered | whoever is turned away would have met the slowest answers |
//! | p99 of the lateness | 10 ms, or 10 % of the p99 response time if that is more | response times contain the lateness; a tenth of the figure is within what two runs differ by |
//! | longest stall | 500 ms | a shared machine takes the processor away for 50 to 100 ms now and then, for more only when something is wrong: suspended, swapping, starved |
//!
//! A stall is the lateness of a send, or of the worker's own heartbeat: a generator that was stopped while nothing was
//! due has still not been watching.

use std::time::Duration;

use results::record::Lateness;

/// The largest share of the offered steps that may be missing.
const MISSING: f64 = 0.001;
/// The p99 lateness below which nobody asks further.
const LATE: Duration = Duration::from_millis(10);
/// The share of the p99 response time that the p99 lateness may have.
const LATE_SHARE: f64 = 0.1;
/// The longest stall.
const STALL: Duration = Duration::from_millis(500);

/// What the generator knows of its own part.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SelfMeasurement {
    pub(crate) offered: u64,
    pub(crate) dropped: u64,
    /// Steps that failed for want of the generator's own sockets.
    pub(crate) own_failures: u64,
    pub(crate) lateness_us: Lateness,
    /// How much the worst heartbeat was late.
    pub(crate) stall: Duration,
    /// p99 of all response times.
    pub(crate) response_p99_us: u64,
}

/// Every reason not to trust the measurement, in words; none when it is valid.
pub(crate) fn doubts(own: &SelfMeasurement) -> Vec<String> {
    let mut doubts = Vec::new();
    if own.offered == 0 {
        doubts.push("nothing was offered: no shopper arrived".to_owned());
    }
    let missing = own.dropped + own.own_failures;
    if missing as f64 > own.offered as f64 * MISSING {
        doubts.push(format!(
            "{missing} of {} steps were not sent for want of capacity in the generator; raise `max_sessions` or the \
             limit on open files, or arrive more slowly",
            own.offered
        ));
    }
    let late_limit = (LATE.as_micros() as f64).max(own.response_p99_us as f64 * LATE_SHARE);
    if own.lateness_us.p99 as f64 > late_limit {
        doubts.push(format!(
            "sends were late by {} ms at the 99th percentile; give the generator more processor time",
            own.lateness_us.p99 / 1000
        ));
    }
    let stall = own.stall.max(Duration::from_micros(own.lateness_us.max));
    if stall > STALL {
        doubts.push(format!(
            "the generator stood still for {} ms; what happened meanwhile was not measured",
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
    fn the_noise_of_a_shared_machine_is_no_doubt() {
        assert_eq!(doubts(&quiet()), Vec::<String>::new());
    }

    #[test]
    fn a_generator_that_was_stopped_for_two_seconds_is_not_believed() {
        let by_send = SelfMeasurement {
            lateness_us: late(900, 1_950_000),
            ..quiet()
        };
        let by_heartbeat = SelfMeasurement {
            stall: Duration::from_millis(1200),
            ..quiet()
        };
        for own in [by_send, by_heartbeat] {
            let told = doubts(&own);
            assert_eq!(told.len(), 1);
            assert!(told[0].contains("stood still"), "{told:?}");
        }
    }

    #[test]
    fn lateness_matters_where_it_is_a_good_part_of_what_is_measured() {
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
    fn load_that_was_never_sent_is_a_doubt_and_so_is_no_load_at_all() {
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
