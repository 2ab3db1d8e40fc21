//! Reads the keys of each kind of fault, besides the common ones.

use std::collections::BTreeSet;
use std::time::Duration;

use shop_contract::Role;
use shop_contract::faults::{Distribution, FaultEffect, MAX_TTL_MS, Only};
use syntax::units::{self, show_duration};
use syntax::{Map, Node};

use super::path;
use super::values::{DISTRIBUTIONS, delays, non_zero, positive, positive_share, share};
use crate::fault::{FaultKind, ProcessFault, ServiceFault};
use crate::kinds::{KINDS, Kind, KindInfo, ProcessKind, ServiceKind};

/// Threads beyond the number of cores only wait for each other.
const MOST_THREADS: u64 = 64;

/// A kind with its parameters.
pub(super) struct ParsedKind<'d> {
    pub(super) kind: FaultKind,
    /// The value of `for`, if the kind has this key.
    pub(super) lasts: Option<Duration>,
    /// How long the fault is planned to be in force, from whichever key.
    pub(super) length: Duration,
    /// The node of that key.
    pub(super) length_node: Node<'d>,
}

/// The kind with this name.
pub(super) fn info(node: Node<'_>) -> Option<&'static KindInfo> {
    let names: Vec<&'static str> = KINDS.iter().map(|k| k.name).collect();
    let name = node.one_of(&names)?;
    KINDS.iter().find(|k| k.name == name)
}

/// Reads the keys of a kind, and notes a mistake for each key of another kind. If the kind is unknown, the keys of all
/// kinds are allowed.
pub(super) fn read<'d>(map: &mut Map<'d>, info: Option<&KindInfo>) -> Option<ParsedKind<'d>> {
    let Some(info) = info else {
        for key in KINDS.iter().flat_map(|k| k.keys) {
            map.get(key);
        }
        return None;
    };
    refuse_foreign(map, info);
    match info.kind {
        Kind::Process(ProcessKind::Kill) => {
            with_length(map, "restart", |restart| ProcessFault::Kill { restart })
        }
        Kind::Process(ProcessKind::SlowStart) => {
            with_length(map, "delay", |delay| ProcessFault::SlowStart { delay })
        }
        Kind::Process(ProcessKind::Restart) => Some(ParsedKind {
            kind: FaultKind::Process(ProcessFault::Restart),
            lasts: None,
            length: Duration::ZERO,
            length_node: map.node(),
        }),
        Kind::Process(ProcessKind::Pause) => {
            with_for(map, |_| Some(FaultKind::Process(ProcessFault::Pause)))
        }
        Kind::Path(kind) => with_for(map, |map| path::read(map, kind).map(FaultKind::Path)),
        Kind::Service(kind) => with_for(map, |map| {
            let takes = |key| info.keys.contains(&key);
            let effect = effect(map, kind);
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
            Some(FaultKind::Service(ServiceFault {
                effect: effect?,
                share: share?,
                only: only?,
            }))
        }),
    }
}

/// A kind with `for`.
fn with_for<'d>(
    map: &mut Map<'d>,
    read: impl FnOnce(&mut Map<'d>) -> Option<FaultKind>,
) -> Option<ParsedKind<'d>> {
    let lasts = match map.get("for") {
        Some(node) => length(node).map(|lasts| (lasts, node)),
        None => {
            map.node()
                .mistake("`for` is missing: say how long the fault lasts, such as `for: 8s`");
            None
        }
    };
    let kind = read(map);
    let (length, length_node) = lasts?;
    Some(ParsedKind {
        kind: kind?,
        lasts: Some(length),
        length,
        length_node,
    })
}

/// A kind of process fault with another key for its length.
fn with_length<'d>(
    map: &mut Map<'d>,
    key: &'static str,
    fault: impl FnOnce(Duration) -> ProcessFault,
) -> Option<ParsedKind<'d>> {
    let (length, length_node) = map.required(key, |n| Some((units::duration(n)?, n)))?;
    Some(ParsedKind {
        kind: FaultKind::Process(fault(length)),
        lasts: None,
        length,
        length_node,
    })
}

/// The effect of a service fault.
fn effect(map: &mut Map<'_>, kind: ServiceKind) -> Option<FaultEffect> {
    Some(match kind {
        ServiceKind::Latency => {
            let distribution = distribution(map);
            let delays = delays(map, distribution == Some(Distribution::Uniform));
            let (delay_us, jitter_us) = delays?;
            FaultEffect::Latency {
                delay_us,
                jitter_us,
                distribution: distribution?,
            }
        }
        ServiceKind::Error => FaultEffect::Error {
            status: match map.get("status") {
                None => 503,
                Some(node) => units::integer_in(node, 400, 599)? as u16,
            },
        },
        ServiceKind::Abort => FaultEffect::Abort,
        ServiceKind::Hang => FaultEffect::Hang,
        ServiceKind::SlowBody => FaultEffect::SlowBody {
            bytes_per_s: map.required("rate", |n| non_zero(n, units::speed(n)?))?,
        },
        ServiceKind::Truncate => FaultEffect::Truncate,
        ServiceKind::Corrupt => FaultEffect::Corrupt,
        ServiceKind::Refuse => FaultEffect::Refuse,
        ServiceKind::Cpu => FaultEffect::Cpu {
            threads: match map.get("threads") {
                None => 1,
                Some(node) => units::integer_in(node, 1, MOST_THREADS)? as u32,
            },
        },
        ServiceKind::Memory => FaultEffect::Memory {
            bytes: map.required("size", |n| non_zero(n, units::size(n)?))?,
        },
        ServiceKind::SlowDatabase => {
            let (delay_us, jitter_us) = delays(map, true)?;
            FaultEffect::SlowDatabase {
                delay_us,
                jitter_us,
            }
        }
        ServiceKind::FailingDatabase => FaultEffect::FailingDatabase,
        ServiceKind::LockedDatabase => FaultEffect::LockedDatabase,
        ServiceKind::FullDisk => FaultEffect::FullDisk,
        ServiceKind::LeakedConnections => FaultEffect::LeakedConnections {
            left: match map.get("left") {
                None => 0,
                Some(node) => units::integer_in(node, 0, 1000)? as u32,
            },
        },
        ServiceKind::ClockSkew => FaultEffect::ClockSkew {
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
    })
}

fn distribution(map: &mut Map<'_>) -> Option<Distribution> {
    let Some(node) = map.get("distribution") else {
        return Some(Distribution::Uniform);
    };
    let name = node.one_of(&DISTRIBUTIONS.map(|(name, _)| name))?;
    let found = DISTRIBUTIONS.into_iter().find(|(n, _)| *n == name);
    found.map(|(_, distribution)| distribution)
}

/// The requests that it can affect. `calling` is set from the target.
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
        Some(node) => positive_share(node).map(Some),
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

/// `POST /orders`, or `/orders` for all methods.
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

/// The value of `for`. It is limited because targets limit the time to live.
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

/// Notes a mistake for each key of other kinds.
fn refuse_foreign(map: &mut Map<'_>, info: &KindInfo) {
    let foreign: BTreeSet<&'static str> = KINDS
        .iter()
        .flat_map(|k| k.keys)
        .copied()
        .filter(|key| !info.keys.contains(key))
        .collect();
    for key in foreign {
        let node = map
            .entries()
            .find(|(name, ..)| *name == key)
            .map(|(_, node, _)| node);
        let Some(node) = node else { continue };
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
        node.mistake(format!(
            "`{key}` belongs to {owners}; kind `{}` takes {takes}",
            info.name,
        ));
        // Marks it as read, so that it is not reported as unknown as well.
        map.get(key);
    }
}
