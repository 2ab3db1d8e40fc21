//! The keys that each kind of fault takes besides the common ones.

use std::collections::BTreeSet;
use std::time::Duration;

use shop_contract::Role;
use shop_contract::faults::{Distribution, FaultEffect, MAX_TTL_MS, Only};
use syntax::units::{self, show_duration};
use syntax::{Map, Node};

use super::path;
use crate::fault::{FaultKind, InService, ProcessFault};
use crate::kinds::{KINDS, KindInfo};

/// More threads than a machine has cores only wait for each other.
const MOST_THREADS: u64 = 64;

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
        "kill" => ends_with(map, "restart", |restart| ProcessFault::Kill { restart }),
        "slow-start" => ends_with(map, "delay", |delay| ProcessFault::SlowStart { delay }),
        "restart" => Some(Body {
            kind: FaultKind::Process(ProcessFault::Restart),
            lasts: None,
            length: Duration::ZERO,
            length_at: map.node(),
        }),
        "pause" => lasting(map, |_| Some(FaultKind::Process(ProcessFault::Pause))),
        _ if info.is_of_a_path() => lasting(map, |map| path::read(map, info).map(FaultKind::Path)),
        _ => lasting(map, |map| {
            let takes = |key| info.keys.contains(&key);
            let effect = effect(map, info);
            let share = if takes("share") {
                share(map)
            } else {
                Some(1.0)
            };
            let only = if takes("route") {
                only(map)
            } else {
                Some(Only::default())
            };
            Some(FaultKind::InService(InService {
                effect: effect?,
                share: share?,
                only: only?,
            }))
        }),
    }
}

/// A kind whose length is said by `for`.
fn lasting<'d>(
    map: &mut Map<'d>,
    read: impl FnOnce(&mut Map<'d>) -> Option<FaultKind>,
) -> Option<Body<'d>> {
    let lasts = match map.get("for") {
        Some(node) => length(node).map(|lasts| (lasts, node)),
        None => {
            map.node()
                .mistake("`for` is missing: say how long the fault lasts, such as `for: 8s`");
            None
        }
    };
    let kind = read(map);
    let (length, length_at) = lasts?;
    Some(Body {
        kind: kind?,
        lasts: Some(length),
        length,
        length_at,
    })
}

/// A kind of process fault whose length is said by a key of its own.
fn ends_with<'d>(
    map: &mut Map<'d>,
    key: &'static str,
    fault: impl FnOnce(Duration) -> ProcessFault,
) -> Option<Body<'d>> {
    let (length, length_at) = map.required(key, |n| Some((units::duration(n)?, n)))?;
    Some(Body {
        kind: FaultKind::Process(fault(length)),
        lasts: None,
        length,
        length_at,
    })
}

/// What a fault in a service does.
fn effect(map: &mut Map<'_>, info: &KindInfo) -> Option<FaultEffect> {
    Some(match info.name {
        "latency" => {
            let distribution = distribution(map);
            let delays = delays(map, distribution == Some(Distribution::Uniform));
            let (delay_us, jitter_us) = delays?;
            FaultEffect::Latency {
                delay_us,
                jitter_us,
                distribution: distribution?,
            }
        }
        "error" => FaultEffect::Error {
            status: match map.get("status") {
                None => 503,
                Some(node) => units::integer_in(node, 400, 599)? as u16,
            },
        },
        "abort" => FaultEffect::Abort,
        "hang" => FaultEffect::Hang,
        "slow-body" => FaultEffect::SlowBody {
            bytes_per_s: map.required("rate", |n| above_nothing(n, units::speed(n)?))?,
        },
        "truncate" => FaultEffect::Truncate,
        "corrupt" => FaultEffect::Corrupt,
        "refuse" => FaultEffect::Refuse,
        "cpu" => FaultEffect::Cpu {
            threads: match map.get("threads") {
                None => 1,
                Some(node) => units::integer_in(node, 1, MOST_THREADS)? as u32,
            },
        },
        "memory" => FaultEffect::Memory {
            bytes: map.required("size", |n| above_nothing(n, units::size(n)?))?,
        },
        "slow-database" => {
            let (delay_us, jitter_us) = delays(map, true)?;
            FaultEffect::SlowDatabase {
                delay_us,
                jitter_us,
            }
        }
        "failing-database" => FaultEffect::FailingDatabase,
        "locked-database" => FaultEffect::LockedDatabase,
        "full-disk" => FaultEffect::FullDisk,
        "leaked-connections" => FaultEffect::LeakedConnections {
            left: match map.get("left") {
                None => 0,
                Some(node) => units::integer_in(node, 0, 1000)? as u32,
            },
        },
        "clock-skew" => FaultEffect::ClockSkew {
            by_ms: map.required("by", |n| {
                let by_ms = (units::offset(n)? * 1e3).round() as i64;
                if by_ms == 0 {
                    n.mistake(
                        "a skew of 0s is none; say by how much the clock is wrong, such as -2h",
                    );
                }
                (by_ms != 0).then_some(by_ms)
            })?,
        },
        // A row without a reader. That there is none, the test of all examples makes sure.
        other => {
            map.node().mistake(format!("`{other}` cannot be read yet"));
            return None;
        }
    })
}

/// `delay` and `jitter` in microseconds.
pub(super) fn delays(map: &mut Map<'_>, within_delay: bool) -> Option<(u64, u64)> {
    let delay = map.required("delay", |n| positive(n, "a delay"));
    let jitter = match map.get("jitter") {
        None => Some(Duration::ZERO),
        Some(node) => units::duration(node).filter(|jitter| match delay {
            Some(delay) if within_delay && *jitter > delay => {
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
    let whole_us = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
    Some((whole_us(delay?), whole_us(jitter?)))
}

fn distribution(map: &mut Map<'_>) -> Option<Distribution> {
    let Some(node) = map.get("distribution") else {
        return Some(Distribution::Uniform);
    };
    Some(match node.one_of(&["uniform", "normal", "exponential"])? {
        "normal" => Distribution::Normal,
        "exponential" => Distribution::Exponential,
        _ => Distribution::Uniform,
    })
}

pub(super) fn share(map: &mut Map<'_>) -> Option<f64> {
    map.get("share").map_or(Some(1.0), some_share)
}

fn some_share(node: Node<'_>) -> Option<f64> {
    let share = units::share(node)?;
    if share == 0.0 {
        node.mistake("a share of 0% touches no request; leave the fault out instead");
    }
    (share > 0.0).then_some(share)
}

/// Which requests it may touch. Whom they are sent to is said by the target.
fn only(map: &mut Map<'_>) -> Option<Only> {
    let caller = match map.get("caller") {
        None => Some(None),
        Some(node) => {
            let roles: Vec<&'static str> = Role::ALL.iter().map(|r| r.name()).collect();
            node.one_of(&roles).map(|name| name.parse().ok())
        }
    };
    let shoppers = match map.get("shoppers") {
        None => Some(None),
        Some(node) => some_share(node).map(Some),
    };
    let route = match map.get("route") {
        None => Some(None),
        Some(node) => route(node).map(Some),
    };
    Some(Only {
        calling: None,
        route: route?,
        caller: caller?,
        shopper: map.optional("shopper", Node::text),
        shoppers: shoppers?,
    })
}

/// `POST /orders`, or `/orders` for every method.
fn route(node: Node<'_>) -> Option<String> {
    let text = node.text()?;
    let path = text
        .split_once(' ')
        .map_or(text.as_str(), |(_, path)| path.trim());
    if path.starts_with('/') {
        return Some(text);
    }
    node.mistake(format!(
        "expected a route's template such as `POST /orders` or `/products/{{id}}`, found `{text}`"
    ));
    None
}

pub(super) fn above_nothing(node: Node<'_>, value: u64) -> Option<u64> {
    if value == 0 {
        node.mistake("it must be more than nothing");
    }
    (value > 0).then_some(value)
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

pub(super) fn positive(node: Node<'_>, what: &str) -> Option<Duration> {
    let value = units::duration(node)?;
    if value.is_zero() {
        node.mistake(format!("{what} must be more than 0s"));
        return None;
    }
    Some(value)
}

/// Notes a mistake for each key that is right for some kind, but not for this one.
fn refuse_foreign(map: &mut Map<'_>, info: &KindInfo) {
    let foreign: BTreeSet<&'static str> = KINDS
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
        let owners = match owners.as_slice() {
            [first, second, _, ..] => format!("kinds such as {first} and {second}"),
            few => format!("kind {}", few.join(" and ")),
        };
        let takes = match info.keys {
            [] => "none of its own".to_owned(),
            keys => keys.join(", "),
        };
        place.mistake(format!(
            "`{key}` belongs to {owners}; kind `{}` takes {takes}",
            info.name,
        ));
        // It has been dealt with, so that it is not refused as unknown as well.
        map.get(key);
    }
}
