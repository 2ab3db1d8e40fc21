//! How a try ended, as far as retries, breakers and balancing need it.

use std::time::Duration;

/// How one try of a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Answered.
    Success,
    /// Refused because of the request itself (a client error). The same request would be refused again.
    Rejected,
    /// Failed in a way that another try may cure.
    Retryable {
        /// What went wrong.
        reason: RetryReason,
        /// The callee asked the caller not to come back sooner than this.
        retry_after: Option<Duration>,
    },
    /// The callee refused it because of overload. Another try would add to that load.
    Shed,
}

/// Why another try may help. The names are metric labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetryReason {
    /// Connecting failed.
    Connect,
    /// The connection broke before the answer was complete.
    Reset,
    /// No answer within the try's own time.
    Timeout,
    /// The callee answered with a server error.
    Server,
    /// The callee limits the rate of requests and said when to come back.
    Throttled,
}

impl RetryReason {
    /// All of them, so that a metric can declare its series beforehand.
    pub const ALL: [Self; 5] = [
        Self::Connect,
        Self::Reset,
        Self::Timeout,
        Self::Server,
        Self::Throttled,
    ];

    /// Its name as a metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::Server => "server",
            Self::Throttled => "throttled",
        }
    }
}

impl Outcome {
    /// The outcome of an HTTP answer.
    ///
    /// `shed` separates a callee that refused because of overload from one that broke: both answer 503, only the first
    /// sets the shop's marker. A 429 is retried only when it says when to come back; otherwise it counts as shed. 501
    /// and 505 refuse the request's form, though they look like server errors. 408 and 425 say that the request was not
    /// processed, though they look like client errors.
    pub fn of_status(status: u16, shed: bool, retry_after: Option<Duration>) -> Self {
        let retryable = |reason| Self::Retryable {
            reason,
            retry_after,
        };
        match status {
            503 if shed => Self::Shed,
            100..=399 => Self::Success,
            429 if retry_after.is_some() => retryable(RetryReason::Throttled),
            429 => Self::Shed,
            408 | 425 => retryable(RetryReason::Server),
            501 | 505 => Self::Rejected,
            500..=599 => retryable(RetryReason::Server),
            _ => Self::Rejected,
        }
    }

    /// Whether the breaker counts it as a failure of the endpoint.
    ///
    /// Shed and throttled requests are none: the endpoint lives and protects itself. A breaker that opened on them
    /// would shut out buying because browsing was refused.
    pub const fn trips_breaker(self) -> bool {
        match self {
            Self::Success | Self::Rejected | Self::Shed => false,
            Self::Retryable { reason, .. } => !matches!(reason, RetryReason::Throttled),
        }
    }

    /// Whether the balancer should send less to the endpoint. Unlike a breaker it counts shed requests: refusing is
    /// quick, and an endpoint that refuses must not look fast.
    pub const fn is_penalised(self) -> bool {
        matches!(self, Self::Retryable { .. } | Self::Shed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_error_speaks_for_the_endpoint_and_a_server_error_against_it() {
        let rejected = Outcome::of_status(409, false, None);
        assert_eq!(rejected, Outcome::Rejected);
        assert!(!rejected.trips_breaker() && !rejected.is_penalised());
        let broken = Outcome::of_status(503, false, None);
        assert!(broken.trips_breaker() && broken.is_penalised());
    }

    #[test]
    fn an_endpoint_that_sheds_gets_less_but_stays_in_reach() {
        for turned_away in [
            Outcome::of_status(503, true, None),
            Outcome::of_status(429, false, None),
            Outcome::of_status(429, false, Some(Duration::from_secs(1))),
        ] {
            assert!(!turned_away.trips_breaker(), "{turned_away:?}");
            assert!(turned_away.is_penalised(), "{turned_away:?}");
        }
    }
}
