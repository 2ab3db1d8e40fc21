//! Checks faults against each other: unique names, valid chains of `after`, and no overlaps that are impossible.

use std::collections::BTreeMap;
use std::time::Duration;

use syntax::units::show_duration;
use syntax::{Node, did_you_mean};

use super::draft::Draft;
use crate::fault::{Begin, Fault, FaultKind, Target, Window};
use crate::shop::Shop;

/// `after` a repeated fault means after its last repetition.
pub(super) fn wait_for_last_repetition(drafts: &mut [&mut Draft<'_>]) {
    let last: BTreeMap<String, String> = drafts
        .iter()
        .filter_map(|d| {
            let last = d.faults.as_ref()?.last()?;
            Some((d.name.as_ref()?.0.clone(), last.name.clone()))
        })
        .collect();
    let faults = drafts
        .iter_mut()
        .flat_map(|d| d.faults.iter_mut().flatten());
    for fault in faults {
        if let Begin::After { fault: other, .. } = &mut fault.begins
            && let Some(last) = last.get(other)
        {
            last.clone_into(other);
        }
    }
}

/// Names identify faults in the record, on charts and at the target.
pub(super) fn check_names(drafts: &[&Draft<'_>]) -> bool {
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    let mut unique = true;
    for draft in drafts {
        let Some((written, node)) = &draft.name else {
            continue;
        };
        let times = draft.faults.iter().flatten().map(|f| f.name.as_str());
        let mut names: Vec<&str> = times.collect();
        if names.is_empty() {
            names.push(written);
        }
        for name in names {
            let Some(line) = first.get(name) else {
                first.insert(name, node.line());
                continue;
            };
            node.mistake(if name == written {
                format!("there is a fault `{name}` already, on line {line}; give each its own name")
            } else {
                format!(
                    "`{written}` is repeated and one of its times is called `{name}`, as is a fault on line {line}; \
                     give each its own name"
                )
            });
            unique = false;
            break;
        }
    }
    unique
}

/// A fault must wait for an existing fault and not for itself, and its earliest end must be within the load.
pub(super) fn check_chains(drafts: &[&Draft<'_>], shop: &Shop) -> bool {
    let by_name = FaultsByName::new(drafts);
    // Faults with mistakes exist as well.
    let written = drafts
        .iter()
        .filter_map(|d| Some(d.name.as_ref()?.0.as_str()));
    let names: Vec<&str> = written.chain(by_name.faults.keys().copied()).collect();
    let mut valid = true;
    for (fault, node) in each(drafts) {
        if let Begin::After { fault: other, .. } = &fault.begins
            && !names.contains(&other.as_str())
        {
            node.mistake(format!(
                "there is no fault `{other}`; {}",
                did_you_mean(other, &names)
            ));
            valid = false;
            continue;
        }
        match by_name.earliest(fault) {
            None if by_name.waits_for_itself(fault) => {
                node.mistake(format!(
                    "`{}` waits for its own end, and so never begins",
                    fault.name
                ));
                valid = false;
            }
            Some(window) if fault.window().is_none() && window.to > shop.duration => {
                node.mistake(format!(
                    "the fault ends at {} at the earliest, but the load is over after {}",
                    show_duration(window.to),
                    show_duration(shop.duration)
                ));
                valid = false;
            }
            _ => {}
        }
    }
    valid
}

/// No fault may overlap the time in which its only replica is down. Allowed are:
/// - Two faults of a running replica: their effects add up.
/// - A fault of several replicas and a kill of one: it stays in force at the others.
/// - A fault that waits for the end of the other one.
/// - A fault that waits for a breaker: its time is not known in advance.
pub(super) fn check_overlaps(drafts: &[&Draft<'_>], shop: &Shop) -> bool {
    let by_name = FaultsByName::new(drafts);
    let mut apart = true;
    for (i, later_draft) in drafts.iter().enumerate() {
        for earlier_draft in &drafts[..i] {
            let pairs = pairs(earlier_draft, later_draft);
            let clash = pairs.into_iter().find_map(|(earlier, later)| {
                Some((earlier, later, by_name.clash(earlier, later, shop)?))
            });
            let Some((earlier, later, (down, replica))) = clash else {
                continue;
            };
            later_draft.time_node.mistake(format!(
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

/// Every fault, with the node for mistakes about its time.
fn each<'a, 'd>(drafts: &'a [&'a Draft<'d>]) -> impl Iterator<Item = (&'a Fault, Node<'d>)> {
    let of = |d: &&'a Draft<'d>| {
        let node = d.time_node;
        d.faults.iter().flatten().map(move |f| (f, node))
    };
    drafts.iter().flat_map(of)
}

fn pairs<'a>(earlier: &'a Draft<'_>, later: &'a Draft<'_>) -> Vec<(&'a Fault, &'a Fault)> {
    let of = |a: &'a Fault| later.faults.iter().flatten().map(move |b| (a, b));
    earlier.faults.iter().flatten().flat_map(of).collect()
}

/// All faults by name, to follow chains of `after`.
struct FaultsByName<'a> {
    faults: BTreeMap<&'a str, &'a Fault>,
}

impl<'a> FaultsByName<'a> {
    fn new(drafts: &'a [&'a Draft<'_>]) -> Self {
        let faults = each(drafts).map(|(f, _)| (f.name.as_str(), f));
        Self {
            faults: faults.collect(),
        }
    }

    /// The faults that a fault waits for, the nearest first. The chain ends at a fault that waits for none, at an unknown
    /// name, or where it would repeat.
    fn chain(&self, fault: &'a Fault) -> Vec<&'a Fault> {
        let mut chain: Vec<&'a Fault> = Vec::new();
        let mut current = fault;
        while let Begin::After { fault: other, .. } = &current.begins
            && let Some(before) = self.faults.get(other.as_str())
            && !chain.iter().any(|f| f.name == before.name)
        {
            chain.push(before);
            current = before;
        }
        chain
    }

    fn waits_for_itself(&self, fault: &'a Fault) -> bool {
        self.chain(fault).iter().any(|f| f.name == fault.name)
    }

    /// The earliest possible window. `None` when the chain is broken.
    fn earliest(&self, fault: &'a Fault) -> Option<Window> {
        if self.waits_for_itself(fault) {
            return None;
        }
        let mut links = self.chain(fault);
        links.reverse();
        links.push(fault);
        let mut end = None;
        for link in links {
            let from = match &link.begins {
                Begin::At(at) => *at,
                Begin::When { wait, .. } => *wait,
                Begin::After { wait, .. } => Duration::saturating_add(end?, *wait),
            };
            end = Some(from.saturating_add(link.length()));
        }
        let to = end?;
        Some(Window {
            from: to.saturating_sub(fault.length()),
            to,
        })
    }

    /// The planned window. `None` if it depends on a breaker.
    fn window(&self, fault: &'a Fault) -> Option<Window> {
        let by_breaker = |f: &Fault| matches!(f.begins, Begin::When { .. });
        if by_breaker(fault) || self.chain(fault).into_iter().any(by_breaker) {
            return None;
        }
        self.earliest(fault)
    }

    /// If two faults cannot be in force together: the window in which a replica is down, and the replica.
    fn clash(&self, a: &'a Fault, b: &'a Fault, shop: &Shop) -> Option<(Window, Target)> {
        let (down, other) = if a.kind.takes_replica_down() {
            (a, b)
        } else {
            (b, a)
        };
        // Path faults need no running replica.
        if !down.kind.takes_replica_down() || matches!(other.kind, FaultKind::Path(_)) {
            return None;
        }
        let replica = only_replica(down, shop)?;
        if only_replica(other, shop)? != replica {
            return None;
        }
        let comes_after = |x, y: &Fault| self.chain(x).iter().any(|f| f.name == y.name);
        if comes_after(a, b) || comes_after(b, a) {
            return None;
        }
        let (w, o) = (self.window(down)?, self.window(other)?);
        // A replica becomes ready some time after its start, so the end of the window is included.
        let other_is_before = o.to <= w.from && !other.kind.takes_replica_down();
        let overlaps = o.from <= w.to && w.from <= o.to && !other_is_before;
        overlaps.then_some((w, replica))
    }
}

/// The replica of a fault's target, if it is a single one.
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
