//! The keys that each kind of fault takes besides the common ones.

use std::time::Duration;

use shop_contract::faults::MAX_TTL_MS;
use syntax::units::{self, show_duration};
use syntax::{Map, Node};

use crate::fault::FaultKind;
use crate::kinds::{KINDS, KindInfo};

/// What a kind's own keys say.
pub(super) struct Body<'d> {
    pub(super) kind: FaultKind,
    /// The value of `for`, for kinds that take it.
    pub(super) lasts: Option<Duration>,
    /// How long the fault is meant to be in force, whichever key says so.
    pub(super) length: Duration,
    /// Where that stands.
    pub(super) length_at: Node<'d>,
}

/// The row of the kind that is named here.
pub(super) fn info(node: Node<'_>) -> Option<&'static KindInfo> {
    let names: Vec<&'static str> = KINDS.iter().map(|k| k.name).collect();
    let name = node.one_of(&names)?;
    KINDS.iter().find(|k| k.name == name)
}

/// Reads the keys of a kind; those of other kinds are refused by name. Where the kind is unknown, so are its keys,
/// and none that some kind takes is held against the user.
pub(super) fn body<'d>(map: &mut Map<'d>, info: Option<&KindInfo>) -> Option<Body<'d>> {
    let Some(info) = info else {
        for key in KINDS.iter().flat_map(|k| k.keys) {
            map.get(key);
        }
        return None;
    };
    refuse_foreign(map, info);
    match info.name {
        "latency" => latency(map),
        "kill" => kill(map),
        // A row without a reader. That there is none, the test of all examples makes sure.
        other => {
            map.node().mistake(format!("`{other}` cannot be read yet"));
            None
        }
    }
}

fn latency<'d>(map: &mut Map<'d>) -> Option<Body<'d>> {
    let lasts = match map.get("for") {
        Some(node) => length(node).map(|lasts| (lasts, node)),
        None => {
            map.node()
                .mistake("`for` is missing: say how long the latency lasts, such as `for: 8s`");
            None
        }
    };
    let delay = map.required("delay", |n| positive(n, "a delay"));
    let jitter = match map.get("jitter") {
        None => Some(Duration::ZERO),
        Some(node) => units::duration(node).filter(|jitter| match delay {
            Some(delay) if *jitter > delay => {
                node.mistake(format!(
                    "a jitter of {} is larger than the delay of {}, and no request can wait less than nothing",
                    show_duration(*jitter),
                    show_duration(delay)
                ));
                false
            }
            _ => true,
        }),
    };
    let share = match map.get("share") {
        None => Some(1.0),
        Some(node) => units::share(node).filter(|share| {
            if *share == 0.0 {
                node.mistake("a share of 0% touches no request; leave the fault out instead");
            }
            *share > 0.0
        }),
    };
    let (length, length_at) = lasts?;
    Some(Body {
        kind: FaultKind::Latency {
            delay: delay?,
            jitter: jitter?,
            share: share?,
        },
        lasts: Some(length),
        length,
        length_at,
    })
}

fn kill<'d>(map: &mut Map<'d>) -> Option<Body<'d>> {
    let (restart, length_at) = map.required("restart", |n| Some((units::duration(n)?, n)))?;
    Some(Body {
        kind: FaultKind::Kill { restart },
        lasts: None,
        length: restart,
        length_at,
    })
}

/// The `for` of a fault that lives at its target, which takes no time to live beyond its limit.
fn length(node: Node<'_>) -> Option<Duration> {
    const MOST: Duration = Duration::from_millis(MAX_TTL_MS);
    let length = positive(node, "a fault's length")?;
    if length > MOST {
        node.mistake(format!(
            "a target takes no fault for longer than {}",
            show_duration(MOST)
        ));
        return None;
    }
    Some(length)
}

fn positive(node: Node<'_>, what: &str) -> Option<Duration> {
    let value = units::duration(node)?;
    if value.is_zero() {
        node.mistake(format!("{what} must be more than 0s"));
        return None;
    }
    Some(value)
}

/// Notes a mistake for each key that is right for some kind, but not for this one.
fn refuse_foreign(map: &mut Map<'_>, info: &KindInfo) {
    let foreign: Vec<&'static str> = KINDS
        .iter()
        .flat_map(|k| k.keys)
        .copied()
        .filter(|key| !info.keys.contains(key))
        .collect();
    for key in foreign {
        let place = map
            .entries()
            .find(|(name, ..)| *name == key)
            .map(|(_, place, _)| place);
        let Some(place) = place else { continue };
        let owners: Vec<String> = KINDS
            .iter()
            .filter(|k| k.keys.contains(&key))
            .map(|k| format!("`{}`", k.name))
            .collect();
        place.mistake(format!(
            "`{key}` belongs to kind {}; kind `{}` takes {}",
            owners.join(" and "),
            info.name,
            info.keys.join(", "),
        ));
        // It has been dealt with, so that it is not refused as unknown as well.
        map.get(key);
    }
}
