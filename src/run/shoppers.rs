//! The shoppers bear witness for a gateway that was struck: it can count nothing itself, its callers are no processes of
//! the shop, and what they met is in the record.

use results::record::{FaultRow, Interval};

/// The requests that a fault of a gateway's process has hit; nothing for a fault of another sort. There are so many
/// `gateways` in all.
pub(super) fn hits(intervals: &[Interval], fault: &FaultRow, gateways: u64) -> Option<u64> {
    let window = Window {
        intervals,
        from_s: fault.started_s,
        to_s: fault.ended_s,
    };
    match fault.kind.as_str() {
        "kill" | "restart" | "slow-start" => {
            Some(window.turned_away() + window.taken_over(&fault.target, gateways))
        }
        // It listens on: the kernel gives it its share of the connections, and whoever has one waits.
        "pause" => Some(window.turned_away() + window.kept_waiting(gateways)),
        _ => None,
    }
}

/// The seconds of a fault.
struct Window<'r> {
    intervals: &'r [Interval],
    from_s: f64,
    to_s: f64,
}

impl<'r> Window<'r> {
    /// The one that ends after it is the one in which it ended.
    fn seconds(&self) -> impl Iterator<Item = &'r Interval> {
        let (from_s, to_s) = (self.from_s, self.to_s);
        self.intervals
            .iter()
            .filter(move |i| i.t_s > from_s && i.t_s < to_s + 1.0)
    }

    /// The requests that met no gateway, lost it, or waited for it in vain.
    fn turned_away(&self) -> u64 {
        self.seconds()
            .flat_map(|i| &i.all.errors)
            .filter(|(kind, _)| matches!(kind.as_str(), "connect" | "reset" | "timeout"))
            .map(|(_, count)| count)
            .sum()
    }

    /// The requests that another gateway answered while this one of `gateways` was gone. Which of them would have come
    /// to this one nobody knows, but the kernel spreads connections evenly over those that listen, so its share is meant.
    fn taken_over(&self, gateway: &str, gateways: u64) -> u64 {
        let gone = |i: &&Interval| {
            i.services
                .get(gateway)
                .is_some_and(|state| state != "ready")
        };
        let answered: u64 = self.seconds().filter(gone).map(|i| i.all.ok).sum();
        if gateways > 1 { answered / gateways } else { 0 }
    }

    /// The requests without an answer at the end of a second in which this one of `gateways` stood still, at the most.
    /// Which of them wait for this one nobody knows, and some may wait for something else: of the shoppers in the shop,
    /// its share has its connection here, and each of them waits for one request at a time.
    fn kept_waiting(&self, gateways: u64) -> u64 {
        let (mut waiting, mut most) = (0i64, 0);
        for i in self.intervals {
            waiting += i.sent as i64 - i.all.requests as i64;
            // By the fault's own times: on a busy machine a second is written down late, with the states of then.
            if i.t_s > self.from_s && i.t_s <= self.to_s {
                let share = i.sessions_active.div_ceil(gateways.max(1));
                most = most.max(waiting.max(0).unsigned_abs().min(share));
            }
        }
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second in which so many requests were sent, answered, and lost their gateway.
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
    fn whom_a_dead_gateway_turned_away_and_whom_another_took_over() {
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
    fn whom_a_paused_gateway_kept_waiting() {
        let seconds = [
            // A shop that is behind already must not hide it.
            second(1.0, 50, 20, 0, "ready"),
            second(2.0, 40, 45, 0, "paused"),
            second(3.0, 10, 4, 1, "ready"),
            second(4.0, 60, 90, 0, "ready"),
        ];
        let stalls = fault("pause", 1.0, 3.4);
        // Thirty wait at the most. Of forty shoppers, twenty have their connection at one of two gateways.
        assert_eq!(hits(&seconds, &stalls, 2), Some(20 + 1));
        assert_eq!(hits(&seconds, &stalls, 1), Some(30 + 1));
    }
}
