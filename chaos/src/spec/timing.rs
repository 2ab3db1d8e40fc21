//! Reads when a fault begins, and how often: `at`, `after` or `when`, `wait`, `every` and `times`.

use std::time::Duration;

use syntax::units::{self, show_duration};
use syntax::{Map, Node, did_you_mean};

use super::kind::ParsedKind;
use super::values::positive;
use crate::fault::{Begin, Breaker};
use crate::shop::Shop;

/// The keys of a time.
pub(super) const KEYS: [&str; 6] = ["at", "after", "when", "wait", "every", "times"];
/// More repetitions are a typo, or should be a storm.
const MOST_TIMES: u64 = 1000;
/// The mistake of a fault without a time.
const MISSING_TIME: &str =
    "say when it begins: `at: 12s`, `after: other-fault` or `when: breaker payment->bank`";

/// When a fault begins, and how often.
pub(super) struct Timing<'d> {
    /// The first begin.
    pub(super) begins: Begin,
    /// From one begin to the next.
    pub(super) every: Duration,
    /// How often, at least once.
    pub(super) times: u32,
    /// The node of `every`.
    every_node: Node<'d>,
}

/// The node for mistakes about a fault's time.
pub(super) fn node<'d>(map: &mut Map<'d>) -> Node<'d> {
    let found = ["at", "after", "when"].iter().find_map(|key| map.get(key));
    found.unwrap_or(map.node())
}

/// Reads the keys of the time.
pub(super) fn read<'d>(map: &mut Map<'d>, shop: &Shop) -> Option<Timing<'d>> {
    let node = map.node();
    let [at, after, when] = ["at", "after", "when"].map(|key| map.get(key));
    let wait = map.get("wait");
    let every = map.get("every");
    let times = map.get("times");
    let found = [at, after, when].iter().flatten().count();
    if found != 1 {
        node.mistake(match found {
            0 => MISSING_TIME.to_owned(),
            _ => "a fault begins at one time only: keep one of `at`, `after` and `when`".to_owned(),
        });
        return None;
    }
    let waits = match (wait, at) {
        (Some(node), Some(_)) => {
            node.mistake("`wait` goes with `after` or `when`; with `at`, write the later time");
            None
        }
        (Some(node), None) => units::duration(node),
        (None, _) => Some(Duration::ZERO),
    };
    let begins = match (at, after, when) {
        (Some(node), ..) => Begin::At(begin(node, shop)?),
        (_, Some(node), _) => Begin::After {
            fault: node.text()?,
            wait: waits?,
        },
        (.., Some(node)) => Begin::When {
            breaker: breaker(node, shop)?,
            wait: waits?,
        },
        (None, None, None) => return None,
    };
    waits?;
    let once = Timing {
        begins,
        every: Duration::ZERO,
        times: 1,
        every_node: every.unwrap_or(node),
    };
    match (every, times) {
        (None, None) => Some(once),
        (Some(only), None) => {
            only.mistake("`every` needs `times`: say how often, such as `times: 3`");
            None
        }
        (None, Some(only)) => {
            only.mistake("`times` needs `every`: say how far apart, such as `every: 30s`");
            None
        }
        (Some(every), Some(times)) if at.is_none() => {
            every.mistake("only a fault with `at` can be repeated");
            let _ = times;
            None
        }
        (Some(every), Some(times)) => {
            let every = positive(every, "the time from one to the next");
            let times = units::integer_in(times, 1, MOST_TIMES);
            Some(Timing {
                every: every?,
                times: times? as u32,
                ..once
            })
        }
    }
}

fn begin(node: Node<'_>, shop: &Shop) -> Option<Duration> {
    let at = units::duration(node)?;
    if at < shop.duration {
        return Some(at);
    }
    node.mistake(format!(
        "the fault starts at {}, but the load is over after {}",
        show_duration(at),
        show_duration(shop.duration)
    ));
    None
}

/// `breaker payment->bank`, or `breaker payment->bank opens`.
fn breaker(node: Node<'_>, shop: &Shop) -> Option<Breaker> {
    let text = node.text()?;
    let edge = text
        .strip_prefix("breaker ")
        .map(|edge| edge.strip_suffix(" opens").unwrap_or(edge))
        .and_then(|edge| edge.split_once("->"));
    let Some((caller, callee)) = edge else {
        node.mistake(format!(
            "expected a breaker such as `breaker payment->bank`, found `{text}`"
        ));
        return None;
    };
    let (caller, callee) = (caller.trim(), callee.trim());
    for role in [caller, callee] {
        if !shop.replicas.contains_key(role) {
            let roles: Vec<&str> = shop.replicas.keys().map(String::as_str).collect();
            node.mistake(format!(
                "the shop has no `{role}`; {}",
                did_you_mean(role, &roles)
            ));
            return None;
        }
    }
    Some(Breaker {
        caller: caller.to_owned(),
        callee: callee.to_owned(),
    })
}

/// Checks that a fault does not overlap itself and ends before the load, as far as its time is known.
pub(super) fn check_times(timing: &Timing<'_>, kind: &ParsedKind<'_>, shop: &Shop) -> bool {
    if timing.times > 1 && !repeats_apart(timing, kind) {
        return false;
    }
    let Begin::At(first) = timing.begins else {
        // `together` checks it when all faults are known.
        return true;
    };
    let last = first.saturating_add(timing.every.saturating_mul(timing.times - 1));
    let end = last.saturating_add(kind.length);
    if end <= shop.duration {
        return true;
    }
    let load_end = show_duration(shop.duration);
    if timing.times == 1 {
        kind.length_node.mistake(format!(
            "the fault ends at {}, but the load is over after {load_end}; {} is the most that fits",
            show_duration(end),
            show_duration(shop.duration.saturating_sub(last)),
        ));
    } else {
        timing.every_node.mistake(format!(
            "the fault comes {} times and ends at {} for the last time, but the load is over after {load_end}",
            timing.times,
            show_duration(end),
        ));
    }
    false
}

fn repeats_apart(timing: &Timing<'_>, kind: &ParsedKind<'_>) -> bool {
    // A replica becomes ready some time after its start, so the end of the window is included.
    let fits = if kind.kind.takes_replica_down() {
        timing.every > kind.length
    } else {
        timing.every >= kind.length
    };
    if !fits {
        timing.every_node.mistake(format!(
            "the fault comes every {} and lasts {}: it would overlap itself",
            show_duration(timing.every),
            show_duration(kind.length),
        ));
    }
    fits
}
