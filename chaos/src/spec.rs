//! Reads the `faults:` of a scenario. It notes all mistakes in one pass, each with its position.
//!
//! ```yaml
//! - { name: bank-slow,  at: 12s, for: 8s, target: bank,    kind: latency, delay: 300ms, jitter: 100ms, share: 100% }
//! - { name: order-down, at: 30s,          target: order/1, kind: kill, restart: 3s }
//! ```
//!
//! | file | reads or checks |
//! |---|---|
//! | this one | name and target |
//! | `timing` | begin and repetition |
//! | `kind`, `path` | the keys of each kind |
//! | `together` | conflicts between two faults |
//! | `storm` | `storm:` |
//! | `abort` | `abort:` |
//! | `write` | the opposite: writes faults as a scenario |

use std::time::Duration;

use shop_contract::Role;
use syntax::{Node, did_you_mean};

use crate::fault::{Begin, Fault, FaultKind, Target};
use crate::kinds::{Aim, KindInfo};
use draft::Draft;
use timing::Timing;

mod abort;
mod draft;
mod kind;
mod path;
mod storm;
mod timing;
mod together;
mod values;
mod write;

pub use crate::shop::Shop;
pub use abort::read as read_abort;
pub use storm::read as read_storm;
pub use write::{write_fault, write_faults};

/// Reads the list of faults, in the order of the file. A repeated fault is in the list once for each repetition.
///
/// `None` when mistakes leave no valid list. Some mistakes, such as an unknown key, leave one, so call
/// [`syntax::Document::finish`] to learn whether the scenario is valid.
pub fn read(node: Node<'_>, shop: &Shop) -> Option<Vec<Fault>> {
    let mut drafts: Vec<Option<Draft<'_>>> = node
        .list()?
        .into_iter()
        .map(|item| read_one(item, shop))
        .collect();
    let mut known: Vec<&mut Draft<'_>> = drafts.iter_mut().flatten().collect();
    together::wait_for_last_repetition(&mut known);
    let known: Vec<&Draft<'_>> = drafts.iter().flatten().collect();
    let unique = together::check_names(&known);
    let chained = together::check_chains(&known, shop);
    let apart = together::check_overlaps(&known, shop);
    if !(unique && chained && apart) {
        return None;
    }
    let lists: Option<Vec<Vec<Fault>>> = drafts.into_iter().map(|draft| draft?.faults).collect();
    Some(lists?.concat())
}

/// Reads one fault that begins at once, in a running shop. The default name consists of kind and target.
pub fn read_now(node: Node<'_>, shop: &Shop) -> Option<Fault> {
    let mut map = node.map()?;
    for key in timing::KEYS {
        if let Some(node) = map.get(key) {
            node.mistake(format!(
                "`{key}` belongs to scenarios; here the fault begins at once"
            ));
        }
    }
    let chosen = match map.get("name") {
        Some(node) => Some(name(node)?),
        None => None,
    };
    let (target, kind) = target_and_kind(&mut map, shop);
    map.finish();
    let (target, kind) = (target?, kind?);
    let default_name = || slug(&format!("{}-{target}", kind.kind.name()));
    Some(Fault {
        name: chosen.unwrap_or_else(default_name),
        begins: Begin::At(Duration::ZERO),
        lasts: kind.lasts,
        kind: limit_to_edge(kind.kind, &target),
        target,
    })
}

fn read_one<'d>(node: Node<'d>, shop: &Shop) -> Option<Draft<'d>> {
    let mut map = node.map()?;
    let name = map.required("name", |n| Some((name(n)?, n)));
    let time_node = timing::node(&mut map);
    let timing = timing::read(&mut map, shop);
    let (target, kind) = target_and_kind(&mut map, shop);
    map.finish();

    let in_time = match (&timing, &kind) {
        (Some(timing), Some(kind)) => timing::check_times(timing, kind, shop),
        _ => true,
    };
    let faults = match (&name, timing, target, kind) {
        (Some((name, _)), Some(timing), Some(target), Some(kind)) if in_time => {
            let fault = Fault {
                name: name.clone(),
                begins: timing.begins.clone(),
                lasts: kind.lasts,
                kind: limit_to_edge(kind.kind, &target),
                target,
            };
            Some(repetitions(&fault, &timing))
        }
        _ => None,
    };
    Some(Draft {
        name,
        time_node,
        faults,
    })
}

/// The fault, once for each repetition. The first one keeps the name, so a fault without repetition does. The others
/// have numbered names that are valid in a scenario.
fn repetitions(fault: &Fault, timing: &Timing<'_>) -> Vec<Fault> {
    let Begin::At(first) = fault.begins else {
        return vec![fault.clone()];
    };
    let nth = |n: u32| Fault {
        name: match n {
            0 => fault.name.clone(),
            n => format!("{}-{}", fault.name, n + 1),
        },
        begins: Begin::At(first.saturating_add(timing.every.saturating_mul(n))),
        ..fault.clone()
    };
    (0..timing.times).map(nth).collect()
}

/// Target and kind, with the keys of the kind.
fn target_and_kind<'d>(
    map: &mut syntax::Map<'d>,
    shop: &Shop,
) -> (Option<Target>, Option<kind::ParsedKind<'d>>) {
    let target_node = map.get("target");
    let target = map.required("target", |n| target(n, shop));
    let info = map.required("kind", kind::info);
    let kind = kind::read(map, info);
    let target = match (target, target_node, info) {
        (Some(t), Some(n), Some(info)) => check_aim(t, n, info, shop),
        (t, ..) => t,
    };
    (target, kind)
}

/// A name is part of file names, metric labels and paths of the admin endpoint, so it has only characters valid in all
/// of them.
fn name(node: Node<'_>) -> Option<String> {
    let text = node.text()?;
    if !text.is_empty() && text.chars().all(is_name_char) {
        return Some(text);
    }
    let instead = match slug(&text).as_str() {
        "" => String::new(),
        slug => format!("; write `{slug}`"),
    };
    node.mistake(format!(
        "a fault's name is made of a-z, 0-9 and `-`, found `{text}`{instead}"
    ));
    None
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

/// The text as a valid name; empty if nothing remains.
fn slug(text: &str) -> String {
    let text = text.to_lowercase().replace("->", "-");
    let letters = text.chars().map(|c| if is_name_char(c) { c } else { '-' });
    letters.collect::<String>().trim_matches('-').to_owned()
}

/// `bank`, `order/1` or `payment->bank`. Checks that the roles and the replica exist.
fn target(node: Node<'_>, shop: &Shop) -> Option<Target> {
    let text = node.text()?;
    let (from, to) = match text.split_once("->") {
        None => (text.as_str(), None),
        Some((from, to)) => (from.trim(), Some(to.trim())),
    };
    let (role, number) = match from.split_once('/') {
        None => (from, None),
        Some((role, number)) => (role, Some(number)),
    };
    for role in [Some(role), to].into_iter().flatten() {
        if !shop.replicas.contains_key(role) {
            let roles: Vec<&str> = shop.replicas.keys().map(String::as_str).collect();
            node.mistake(format!(
                "the shop has no `{role}`; {}",
                did_you_mean(role, &roles)
            ));
            return None;
        }
    }
    let count = shop.replicas.get(role).copied().unwrap_or(0);
    let replica = match number.map(str::parse::<u32>) {
        None if count > 0 => None,
        Some(Ok(replica)) if replica < count => Some(replica),
        Some(Err(_)) => {
            node.mistake(format!(
                "expected a role or one of its replicas, such as {role} or {role}/0, found `{text}`"
            ));
            return None;
        }
        _ => {
            node.mistake(format!(
                "there is no {from}; {}",
                describe_replicas(role, count)
            ));
            return None;
        }
    };
    Some(Target {
        role: role.to_owned(),
        replica,
        to: to.map(ToOwned::to_owned),
    })
}

/// Checks that a kind takes this target. Sets the replica if the kind needs one and the role has only one.
fn check_aim(target: Target, node: Node<'_>, info: &KindInfo, shop: &Shop) -> Option<Target> {
    let edge = target.to.is_some();
    let fits = match info.aim {
        Aim::RoleReplicaOrEdge => true,
        Aim::Edge => edge,
        Aim::RoleOrReplica | Aim::OneReplica => !edge,
        Aim::OneRole => !edge && target.replica.is_none(),
    };
    if !fits {
        node.mistake(format!(
            "kind `{}` is aimed at {}, found `{target}`",
            info.name, info.aim
        ));
        return None;
    }
    if target.to.as_deref() == Some(Role::Gateway.name()) {
        node.mistake(
            "no service calls the gateway, only shoppers do; aim at the gateway itself, or at a way from it",
        );
        return None;
    }
    match info.aim {
        Aim::OneReplica => one_replica(target, node, shop),
        _ => Some(target),
    }
}

/// A service fault on an edge affects only the calls to that role.
fn limit_to_edge(kind: FaultKind, target: &Target) -> FaultKind {
    match (kind, &target.to) {
        (FaultKind::Service(mut fault), Some(to)) => {
            fault.only.calling = to.parse().ok();
            FaultKind::Service(fault)
        }
        (kind, _) => kind,
    }
}

/// Sets the replica if the role has only one.
fn one_replica(target: Target, node: Node<'_>, shop: &Shop) -> Option<Target> {
    let count = shop.replicas.get(&target.role).copied().unwrap_or(0);
    match target.replica {
        Some(_) => Some(target),
        None if count == 1 => Some(Target {
            replica: Some(0),
            ..target
        }),
        None => {
            node.mistake(format!(
                "say which replica; {}",
                describe_replicas(&target.role, count)
            ));
            None
        }
    }
}

/// The number of replicas of a role, and their names.
fn describe_replicas(role: &str, count: u32) -> String {
    match count {
        0 => format!("{role} has no replicas"),
        1 => format!("{role} has 1 replica, counted from 0: {role}/0"),
        2 => format!("{role} has 2 replicas, counted from 0: {role}/0 and {role}/1"),
        n => format!(
            "{role} has {n} replicas, counted from 0: {role}/0 to {role}/{}",
            n - 1
        ),
    }
}
