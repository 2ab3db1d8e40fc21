//! Reading the `faults:` of a scenario. Every mistake is noted at its place, all of them in one go.
//!
//! ```yaml
//! - { name: bank-slow,  at: 12s, for: 8s, target: bank,    kind: latency, delay: 300ms, jitter: 100ms, share: 100% }
//! - { name: order-down, at: 30s,          target: order/1, kind: kill, restart: 3s }
//! ```
//!
//! Here is what every fault has: name, time and target. The keys of each kind are read in `spec/kind.rs`, and what can be
//! wrong between two faults is checked in `spec/together.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use syntax::units::{self, show_duration};
use syntax::{Node, did_you_mean};

use crate::fault::{Fault, FaultKind, Target};
use crate::kinds::{Aim, KindInfo};

mod kind;
mod together;

/// What must be known of the rest of a scenario to judge its faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shop {
    /// Role and number of replicas.
    pub replicas: BTreeMap<String, u32>,
    /// How long the whole load lasts. [`Duration::MAX`] where it could not be read: then no fault is too late.
    pub duration: Duration,
}

/// A fault being read: what is known of it even when the rest is wrong.
struct Draft<'d> {
    name: Option<(String, Node<'d>)>,
    /// Where mistakes about its time belong.
    at: Node<'d>,
    fault: Option<Fault>,
}

/// Reads the list of faults, in the order of the file.
///
/// `None` when mistakes leave no sound list. Some mistakes, such as an unknown key, leave one all the same, so it is
/// [`syntax::Document::finish`] that decides whether the scenario may run.
pub fn read(node: Node<'_>, shop: &Shop) -> Option<Vec<Fault>> {
    let drafts: Vec<Option<Draft<'_>>> = node
        .list()?
        .into_iter()
        .map(|item| read_one(item, shop))
        .collect();
    let known: Vec<&Draft<'_>> = drafts.iter().flatten().collect();
    let unique = together::names_are_unique(&known);
    let apart = together::nothing_overlaps(&known, shop);
    if !(unique && apart) {
        return None;
    }
    drafts.into_iter().map(|draft| draft?.fault).collect()
}

fn read_one<'d>(node: Node<'d>, shop: &Shop) -> Option<Draft<'d>> {
    let mut map = node.map()?;
    let name = map.required("name", |n| Some((name(n)?, n)));
    let at_node = map.get("at").unwrap_or(node);
    let at = map.required("at", |n| begin(n, shop));
    let target_node = map.get("target");
    let target = map.required("target", |n| target(n, shop));
    let info = map.required("kind", kind::info);
    let body = kind::body(&mut map, info);
    map.finish();

    let target = match (target, target_node, info) {
        (Some(t), Some(n), Some(info)) => aimed(t, n, info, shop),
        (t, ..) => t,
    };
    let in_time = match (at, &body) {
        (Some(at), Some(body)) => ends_in_time(at, body, shop),
        _ => true,
    };
    let fault = match (&name, at, target, body) {
        (Some((name, _)), Some(at), Some(target), Some(body)) if in_time => Some(Fault {
            name: name.clone(),
            at,
            lasts: body.lasts,
            kind: on_its_way(body.kind, &target),
            target,
        }),
        _ => None,
    };
    Some(Draft {
        name,
        at: at_node,
        fault,
    })
}

/// A name goes into file names, metric labels and the admin endpoint's paths, so it is kept to what all of them take.
fn name(node: Node<'_>) -> Option<String> {
    let text = node.text()?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !text.is_empty() && text.chars().all(fits) {
        return Some(text);
    }
    let slug: String = text
        .to_lowercase()
        .chars()
        .map(|c| if fits(c) { c } else { '-' })
        .collect();
    let slug = slug.trim_matches('-');
    let instead = match slug {
        "" => String::new(),
        slug => format!("; write `{slug}`"),
    };
    node.mistake(format!(
        "a fault's name is made of a-z, 0-9 and `-`, found `{text}`{instead}"
    ));
    None
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

fn ends_in_time(at: Duration, body: &kind::Body<'_>, shop: &Shop) -> bool {
    let end = at.saturating_add(body.length);
    let fits = end <= shop.duration;
    if !fits {
        body.length_at.mistake(format!(
            "the fault ends at {}, but the load is over after {}; {} is the most that fits",
            show_duration(end),
            show_duration(shop.duration),
            show_duration(shop.duration.saturating_sub(at)),
        ));
    }
    fits
}

/// `bank`, `order/1` or `payment->bank`: a role of the shop, a replica that it has, and a role that it calls.
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
            node.mistake(format!("there is no {from}; {}", have(role, count)));
            return None;
        }
    };
    Some(Target {
        role: role.to_owned(),
        replica,
        to: to.map(ToOwned::to_owned),
    })
}

/// Whether a kind can be aimed at what is written, and the one replica where it needs one.
fn aimed(target: Target, node: Node<'_>, info: &KindInfo, shop: &Shop) -> Option<Target> {
    let way = target.to.is_some();
    let fits = match info.aim {
        Aim::RoleReplicaOrWay => true,
        Aim::Way => way,
        Aim::RoleOrReplica | Aim::OneReplica => !way,
        Aim::OneRole => !way && target.replica.is_none(),
    };
    if !fits {
        node.mistake(format!(
            "kind `{}` is aimed at {}, found `{target}`",
            info.name, info.aim
        ));
        return None;
    }
    match info.aim {
        Aim::OneReplica => one_replica(target, node, shop),
        _ => Some(target),
    }
}

/// A fault on a way lies in the calls of the role at its beginning.
fn on_its_way(kind: FaultKind, target: &Target) -> FaultKind {
    match (kind, &target.to) {
        (FaultKind::InService(mut fault), Some(to)) => {
            fault.only.calling = to.parse().ok();
            FaultKind::InService(fault)
        }
        (kind, _) => kind,
    }
}

/// Settles on one replica where a kind needs one.
fn one_replica(target: Target, node: Node<'_>, shop: &Shop) -> Option<Target> {
    let count = shop.replicas.get(&target.role).copied().unwrap_or(0);
    match target.replica {
        Some(_) => Some(target),
        None if count == 1 => Some(Target {
            replica: Some(0),
            ..target
        }),
        None => {
            node.mistake(format!("say which replica; {}", have(&target.role, count)));
            None
        }
    }
}

/// How many replicas a role has, and what they are called.
fn have(role: &str, count: u32) -> String {
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
