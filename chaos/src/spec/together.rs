//! What can be wrong between two faults: the same name, or two that cannot be in force at once.

use std::collections::BTreeMap;

use syntax::units::show_duration;

use super::{Draft, Shop};
use crate::fault::{Fault, Target};

/// Names tell faults apart in the record, on charts and at the target.
pub(super) fn names_are_unique(drafts: &[&Draft<'_>]) -> bool {
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    let mut unique = true;
    for (name, node) in drafts.iter().filter_map(|d| d.name.as_ref()) {
        if let Some(line) = first.get(name.as_str()) {
            node.mistake(format!(
                "there is a fault `{name}` already, on line {line}; give each its own name"
            ));
            unique = false;
        } else {
            first.insert(name, node.line());
        }
    }
    unique
}

/// Two latencies on one target add up and are allowed. A replica that is down, however, can neither die again nor
/// be slow. A fault on all of several replicas stays in force at the others, so it may overlap a kill of one.
pub(super) fn nothing_overlaps(drafts: &[&Draft<'_>], shop: &Shop) -> bool {
    let mut apart = true;
    let faults: Vec<_> = drafts
        .iter()
        .filter_map(|d| Some((d.fault.as_ref()?, d.at)))
        .collect();
    for (i, (later, at)) in faults.iter().enumerate() {
        for (earlier, _) in &faults[..i] {
            let Some((kill, replica)) = clash(earlier, later, shop) else {
                continue;
            };
            let down = kill.window();
            at.mistake(format!(
                "`{}` overlaps `{}`: {replica} is killed at {} and starts again at {}, until it is ready nothing \
                 else can happen to it",
                later.name,
                earlier.name,
                show_duration(down.from),
                show_duration(down.to),
            ));
            apart = false;
        }
    }
    apart
}

/// The fault that takes the replica down and the replica, where two faults cannot be in force together.
fn clash<'f>(a: &'f Fault, b: &'f Fault, shop: &Shop) -> Option<(&'f Fault, Target)> {
    let (down, other) = if a.kind.takes_replica_down() {
        (a, b)
    } else {
        (b, a)
    };
    if !down.kind.takes_replica_down() {
        return None;
    }
    let replica = only_replica(down, shop)?;
    if only_replica(other, shop)? != replica {
        return None;
    }
    let (w, o) = (down.window(), other.window());
    // A replica is ready some time after its restart, so the end of its window still counts.
    let other_is_before = o.to <= w.from && !other.kind.takes_replica_down();
    let overlaps = o.from <= w.to && w.from <= o.to && !other_is_before;
    overlaps.then_some((down, replica))
}

/// The replica that a fault is aimed at, where it is a single one.
fn only_replica(fault: &Fault, shop: &Shop) -> Option<Target> {
    let target = &fault.target;
    let count = shop.replicas.get(&target.role).copied();
    let replica = target.replica.or((count == Some(1)).then_some(0))?;
    Some(Target {
        role: target.role.clone(),
        replica: Some(replica),
        to: None,
    })
}
