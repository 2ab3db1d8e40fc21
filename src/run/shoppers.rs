//! Counts the hits of a fault on a gateway's process from the record: a gateway that is down or paused counts nothing, and
//! its callers are the shoppers.

use results::record::{FaultRow, Interval};

/// The requests that a fault of a gateway's process hit. `None` for other kinds of faults. `gateways` is the number of
/// gateways, including the target.
pub(super) fn hits(intervals: &[Interval], fault: &FaultRow, gateways: u64) -> Option<u64> {
    let window = Window {
        intervals,
        from_s: fault.started_s,
        to_s: fault.ended_s,
    };
    match fault.kind.as_str() {
        "kill" | "restart" | "slow-start" => {
            Some(window.failed() + window.taken_over(&fault.target, gateways))
        }
        // A paused gateway still listens: the kernel gives it its share of connections, and their requests wait.
        "pause" => Some(window.failed() + window.waiting(gateways)),
        _ => None,
    }
}

/// The time window of a fault.
struct Window<'r> {
    intervals: &'r [Interval],
    from_s: f64,
    to_s: f64,
}

impl<'r> Window<'r> {
    /// The seconds of the window, including the one in which the fault ended.
    fn seconds(&self) -> impl Iterator<Item = &'r Interval> {
        let (from_s, to_s) = (self.from_s, self.to_s);
        self.intervals
            .iter()
            .filter(move |i| i.t_s > from_s && i.t_s < to_s + 1.0)
    }

    /// Requests that failed to connect, lost the connection, or timed out.
    fn failed(&self) -> u64 {
        self.seconds()
            .flat_map(|i| &i.all.errors)
            .filter(|(kind, _)| matches!(kind.as_str(), "connect" | "reset" | "timeout"))
            .map(|(_, count)| count)
            .sum()
    }

    /// Requests that other gateways answered in place of this one while it was down: an estimate. The kernel spreads
    /// connections evenly over the gateways, so its share is 1 of `gateways`.
    fn taken_over(&self, gateway: &str, gateways: u64) -> u64 {
        let is_down = |i: &&Interval| {
            i.services
                .get(gateway)
                .is_some_and(|state| state != "ready")
        };
        let answered: u64 = self.seconds().filter(is_down).map(|i| i.all.ok).sum();
        if gateways > 1 { answered / gateways } else { 0 }
    }

    /// The most requests that waited at the end of a second in which this gateway was paused: an estimate. One of `gateways`
    /// has this share of the shoppers' connections, and each shopper waits for one request at a time.
    fn waiting(&self, gateways: u64) -> u64 {
        let (mut waiting, mut max) = (0i64, 0);
        for i in self.intervals {
            waiting += i.sent as i64 - i.all.requests as i64;
            // By the fault's times: on a busy machine a second is recorded late, with the states of that later time.
            if i.t_s > self.from_s && i.t_s <= self.to_s {
                let share = i.sessions_active.div_ceil(gateways.max(1));
                max = max.max(waiting.max(0).unsigned_abs().min(share));
            }
        }
        max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second with this many requests sent, answered, and reset.
    fn second(t_s: f64, sent: u64, ok: u64, reset: u64, state: &str) -> Interval {
        let mut interval = Interval {
            t_s,
            sent,
            sessions_active: 40,
            ..Interval::default()
        };
        interval.all.ok = ok;
        interval.all.requests = ok + reset;
        interval.all.errors.insert("reset".to_owned(), reset);
        let gateway = ("gateway/0".to_owned(), state.to_owned());
        interval.services.extend([gateway]);
        interval
    }

    fn fault(kind: &str, from_s: f64, to_s: f64) -> FaultRow {
        FaultRow {
            name: "f".to_owned(),
            kind: kind.to_owned(),
            target: "gateway/0".to_owned(),
            started_s: from_s,
            ended_s: to_s,
            ..FaultRow::default()
        }
    }

    #[test]
    fn hits_on_a_gateway_that_is_down_are_failed_and_taken_over_requests() {
        let seconds = [
            second(1.0, 50, 50, 9, "ready"),
            second(2.0, 50, 44, 6, "down"),
            second(3.0, 50, 50, 0, "starting"),
            second(4.0, 50, 50, 7, "ready"),
        ];
        let dead = |kind| fault(kind, 1.2, 2.9);
        for kind in ["kill", "restart", "slow-start"] {
            assert_eq!(hits(&seconds, &dead(kind), 2), Some(6 + (44 + 50) / 2));
            assert_eq!(hits(&seconds, &dead(kind), 1), Some(6));
        }
        assert_eq!(hits(&seconds, &dead("latency"), 2), None);
    }

    #[test]
    fn hits_on_a_paused_gateway_are_failed_and_waiting_requests() {
        let seconds = [
            // Requests that waited before the pause must not hide the hits.
            second(1.0, 50, 20, 0, "ready"),
            second(2.0, 40, 45, 0, "paused"),
            second(3.0, 10, 4, 1, "ready"),
            second(4.0, 60, 90, 0, "ready"),
        ];
        let stalls = fault("pause", 1.0, 3.4);
        // At most 30 requests wait. Of 40 shoppers, 20 have their connection at one of two gateways.
        assert_eq!(hits(&seconds, &stalls, 2), Some(20 + 1));
        assert_eq!(hits(&seconds, &stalls, 1), Some(30 + 1));
    }
}
