//! Reading the `faults:` of a scenario. Every mistake is noted at its place, all of them in one go.
//!
//! ```yaml
//! - { name: bank-slow,  at: 12s, for: 8s, target: bank,    kind: latency, delay: 300ms, jitter: 100ms, share: 100% }
//! - { name: order-down, at: 30s,          target: order/1, kind: kill, restart: 3s }
//! ```
//!
//! Here is what every fault has: name, time and target. When it begins and how often is read in `spec/timing.rs`, the keys of
//! each kind in `spec/kind.rs` and `spec/path.rs`, and what can be wrong between two faults is checked in `spec/together.rs`. Beside the list of
//! faults a scenario may have a storm (`spec/storm.rs`) and conditions to stop at (`spec/abort.rs`). `spec/write.rs` goes the
//! other way.

use std::collections::BTreeMap;
use std::time::Duration;

use shop_contract::Role;
use syntax::{Node, did_you_mean};

use crate::fault::{Begin, Fault, FaultKind, Target};
use crate::kinds::{Aim, KindInfo};
use timing::Timing;

mod abort;
mod kind;
mod path;
mod storm;
mod timing;
mod together;
mod write;

pub use abort::read as read_abort;
pub use storm::read as read_storm;
pub use write::{list, written};

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
    /// The fault, once for each time that it comes.
    faults: Option<Vec<Fault>>,
}

/// Reads the list of faults, in the order of the file; one that is repeated stands in it once for each time.
///
/// `None` when mistakes leave no sound list. Some mistakes, such as an unknown key, leave one all the same, so it is
/// [`syntax::Document::finish`] that decides whether the scenario may run.
pub fn read(node: Node<'_>, shop: &Shop) -> Option<Vec<Fault>> {
    let mut drafts: Vec<Option<Draft<'_>>> = node
        .list()?
        .into_iter()
        .map(|item| read_one(item, shop))
        .collect();
    let mut known: Vec<&mut Draft<'_>> = drafts.iter_mut().flatten().collect();
    together::wait_for_the_last_time(&mut known);
    let known: Vec<&Draft<'_>> = drafts.iter().flatten().collect();
    let unique = together::names_are_unique(&known);
    let chained = together::chains_hold(&known, shop);
    let apart = together::nothing_overlaps(&known, shop);
    if !(unique && chained && apart) {
        return None;
    }
    let lists: Option<Vec<Vec<Fault>>> = drafts.into_iter().map(|draft| draft?.faults).collect();
    Some(lists?.concat())
}

/// Reads one fault that is to begin at once, in a shop that is up. Without a name it is called by kind and target.
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
    let (target, body) = what(&mut map, shop);
    map.finish();
    let (target, body) = (target?, body?);
    let called = || slug(&format!("{}-{target}", body.kind.name()));
    Some(Fault {
        name: chosen.unwrap_or_else(called),
        begins: Begin::At(Duration::ZERO),
        lasts: body.lasts,
        kind: on_its_way(body.kind, &target),
        target,
    })
}

fn read_one<'d>(node: Node<'d>, shop: &Shop) -> Option<Draft<'d>> {
    let mut map = node.map()?;
    let name = map.required("name", |n| Some((name(n)?, n)));
    let at = timing::place(&mut map);
    let timing = timing::read(&mut map, shop);
    let (target, body) = what(&mut map, shop);
    map.finish();

    let in_time = match (&timing, &body) {
        (Some(timing), Some(body)) => timing::fits(timing, body, shop),
        _ => true,
    };
    let faults = match (&name, timing, target, body) {
        (Some((name, _)), Some(timing), Some(target), Some(body)) if in_time => {
            let fault = Fault {
                name: name.clone(),
                begins: timing.begins.clone(),
                lasts: body.lasts,
                kind: on_its_way(body.kind, &target),
                target,
            };
            Some(each_time(&fault, &timing))
        }
        _ => None,
    };
    Some(Draft { name, at, faults })
}

/// The first time has the fault's own name, so that one that is not repeated keeps it. The others are numbered in
/// letters that a name may have, so that each can be written down as a fault by itself.
fn each_time(fault: &Fault, timing: &Timing<'_>) -> Vec<Fault> {
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

/// Target and kind, with the kind's own keys.
fn what<'d>(map: &mut syntax::Map<'d>, shop: &Shop) -> (Option<Target>, Option<kind::Body<'d>>) {
    let target_node = map.get("target");
    let target = map.required("target", |n| target(n, shop));
    let info = map.required("kind", kind::info);
    let body = kind::body(map, info);
    let target = match (target, target_node, info) {
        (Some(t), Some(n), Some(info)) => aimed(t, n, info, shop),
        (t, ..) => t,
    };
    (target, body)
}

/// A name goes into file names, metric labels and the admin endpoint's paths, so it is kept to what all of them take.
fn name(node: Node<'_>) -> Option<String> {
    let text = node.text()?;
    if !text.is_empty() && text.chars().all(in_a_name) {
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

fn in_a_name(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

/// The nearest thing to a text that a name can be; empty when nothing is left.
fn slug(text: &str) -> String {
    let text = text.to_lowercase().replace("->", "-");
    let letters = text.chars().map(|c| if in_a_name(c) { c } else { '-' });
    letters.collect::<String>().trim_matches('-').to_owned()
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
