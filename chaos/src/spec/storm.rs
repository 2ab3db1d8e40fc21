//! Reads the `storm:` of a scenario.
//!
//! ```yaml
//! storm: { from: 10s, for: 60s, kinds: [latency, error, kill], at_once: 2, every: 4s, lasts: 1s..5s, spare: [gateway] }
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use syntax::units::{self, show_duration};
use syntax::{Map, Node, did_you_mean};

use super::kind;
use super::values::positive;
use crate::fault::Fault;
use crate::kinds::{KINDS, KindInfo};
use crate::shop::Shop;
use crate::storm::{PREFIX, Storm, draws};

/// The number of roles: each has one fault at a time.
const MOST_AT_ONCE: u64 = 9;
/// More frequent faults could not be distinguished in a record with one line a second.
const LEAST_APART: Duration = Duration::from_millis(100);

/// Reads a storm. `written` are the scenario's own faults. `None` when mistakes leave no valid storm.
pub fn read(node: Node<'_>, shop: &Shop, written: &[Fault]) -> Option<Storm> {
    let mut map = node.map()?;
    let from = map.required("from", units::duration);
    let lasts_node = map.get("for").unwrap_or(node);
    let lasts = map.required("for", |n| positive(n, "a storm's length"));
    let kinds = match map.get("kinds") {
        None => Some(every_kind()),
        Some(node) => kinds(node),
    };
    let at_once = or_default(map.get("at_once"), 2, |n| {
        units::integer_in(n, 1, MOST_AT_ONCE)
    });
    let every = or_default(map.get("every"), Duration::from_secs(4), interval);
    let length = or_default(
        map.get("lasts"),
        (Duration::from_secs(1), Duration::from_secs(5)),
        range,
    );
    let targets = targets(&mut map, shop);
    let cool_down = or_default(
        map.get("cool_down"),
        Duration::from_secs(3),
        units::duration,
    );
    let singles = or_default(map.get("singles"), false, Node::flag);
    map.finish();
    for fault in written.iter().filter(|f| f.name.starts_with(PREFIX)) {
        node.mistake(format!(
            "names that begin with `{PREFIX}` are the storm's own; give `{}` another",
            fault.name
        ));
    }
    let (from, lasts) = (from?, lasts?);
    if from.saturating_add(lasts) > shop.duration {
        lasts_node.mistake(format!(
            "the storm is over at {}, but the load after {} already",
            show_duration(from.saturating_add(lasts)),
            show_duration(shop.duration)
        ));
        return None;
    }
    Some(Storm {
        from,
        lasts,
        kinds: kinds?,
        at_once: at_once? as usize,
        every: every?,
        length: length?,
        targets: targets?,
        cool_down: cool_down?,
        singles: singles?,
    })
}

/// The value at the node, or the default if there is none.
fn or_default<'d, T>(
    node: Option<Node<'d>>,
    default: T,
    read: impl FnOnce(Node<'d>) -> Option<T>,
) -> Option<T> {
    match node {
        None => Some(default),
        Some(node) => read(node),
    }
}

/// A list of names, or `None` for `all`.
fn names<'d>(node: Node<'d>) -> Option<Option<Vec<Node<'d>>>> {
    if node.is_list() {
        let list = node.list()?;
        if list.is_empty() {
            node.mistake("nothing is in this list; write `all`, or leave the key out");
            return None;
        }
        return Some(Some(list));
    }
    node.one_of(&["all"]).map(|_| None)
}

fn kinds(node: Node<'_>) -> Option<Vec<&'static KindInfo>> {
    match names(node)? {
        None => Some(every_kind()),
        Some(list) => {
            let read: Vec<Option<&'static KindInfo>> = list.into_iter().map(one_kind).collect();
            read.into_iter().collect()
        }
    }
}

fn every_kind() -> Vec<&'static KindInfo> {
    KINDS.iter().filter(|info| draws(info)).collect()
}

fn one_kind(node: Node<'_>) -> Option<&'static KindInfo> {
    let info = kind::info(node)?;
    if !draws(info) {
        node.mistake(format!(
            "a storm does not draw `{}`; write it as a fault of its own",
            info.name
        ));
        return None;
    }
    Some(info)
}

fn targets(map: &mut Map<'_>, shop: &Shop) -> Option<BTreeSet<String>> {
    let node = map.node();
    let all: BTreeSet<String> = shop.replicas.keys().cloned().collect();
    let targets = match map.get("targets") {
        None => Some(all),
        Some(node) => match names(node) {
            None => None,
            Some(None) => Some(all),
            Some(Some(list)) => roles(list, shop),
        },
    };
    let excluded = match map.get("spare") {
        None => Some(BTreeSet::new()),
        Some(node) => node.list().and_then(|list| roles(list, shop)),
    };
    let excluded = excluded?;
    let remaining: BTreeSet<String> = targets?.difference(&excluded).cloned().collect();
    if remaining.is_empty() {
        node.mistake("every role is spared, so there is nothing that the storm could touch");
        return None;
    }
    Some(remaining)
}

fn roles(list: Vec<Node<'_>>, shop: &Shop) -> Option<BTreeSet<String>> {
    let role = |node: Node<'_>| {
        let role = node.text()?;
        if shop.replicas.contains_key(&role) {
            return Some(role);
        }
        let known: Vec<&str> = shop.replicas.keys().map(String::as_str).collect();
        node.mistake(format!(
            "the shop has no `{role}`; {}",
            did_you_mean(&role, &known)
        ));
        None
    };
    let read: Vec<Option<String>> = list.into_iter().map(role).collect();
    read.into_iter().collect()
}

fn interval(node: Node<'_>) -> Option<Duration> {
    let every = units::duration(node)?;
    if every < LEAST_APART {
        node.mistake(format!(
            "the least from one fault to the next is {}",
            show_duration(LEAST_APART)
        ));
        return None;
    }
    Some(every)
}

/// `1s..5s`, or `2s` for a single length.
fn range(node: Node<'_>) -> Option<(Duration, Duration)> {
    let text = node.text()?;
    let (least, most) = text.split_once("..").unwrap_or((&text, &text));
    let parsed = units::parse_duration(least.trim()).zip(units::parse_duration(most.trim()));
    let Some((least, most)) = parsed else {
        node.mistake(format!(
            "expected lengths of time such as 1s..5s, found `{text}`"
        ));
        return None;
    };
    if least > most || least < Duration::from_millis(1) {
        node.mistake(format!(
            "the shorter one comes first and is more than nothing, found `{text}`"
        ));
        return None;
    }
    if most > Duration::from_secs(3600) {
        node.mistake("a target takes no fault for longer than 60m");
        return None;
    }
    Some((least, most))
}
