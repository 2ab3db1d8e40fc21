//! What can be wrong between two faults: the same name, a chain that leads nowhere, or two that cannot be in force at
//! once.

use std::collections::BTreeMap;
use std::time::Duration;

use syntax::units::show_duration;
use syntax::{Node, did_you_mean};

use super::{Draft, Shop};
use crate::fault::{Begin, Fault, FaultKind, Target, Window};

/// `after` a fault that is repeated means after its last time.
pub(super) fn wait_for_the_last_time(drafts: &mut [&mut Draft<'_>]) {
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

/// Names tell faults apart in the record, on charts and at the target.
pub(super) fn names_are_unique(drafts: &[&Draft<'_>]) -> bool {
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

/// Every fault that waits for another waits for one that there is, not for itself, and has a chance to be over while
/// the load lasts.
pub(super) fn chains_hold(drafts: &[&Draft<'_>], shop: &Shop) -> bool {
    let plan = Plan::of(drafts);
    // One that has mistakes is there all the same.
    let written = drafts
        .iter()
        .filter_map(|d| Some(d.name.as_ref()?.0.as_str()));
    let names: Vec<&str> = written.chain(plan.faults.keys().copied()).collect();
    let mut hold = true;
    for (fault, at) in each(drafts) {
        if let Begin::After { fault: other, .. } = &fault.begins
            && !names.contains(&other.as_str())
        {
            at.mistake(format!(
                "there is no fault `{other}`; {}",
                did_you_mean(other, &names)
            ));
            hold = false;
            continue;
        }
        match plan.earliest(fault) {
            None if plan.waits_for_itself(fault) => {
                at.mistake(format!(
                    "`{}` waits for its own end, and so never begins",
                    fault.name
                ));
                hold = false;
            }
            Some(window) if fault.window().is_none() && window.to > shop.duration => {
                at.mistake(format!(
                    "the fault ends at {} at the earliest, but the load is over after {}",
                    show_duration(window.to),
                    show_duration(shop.duration)
                ));
                hold = false;
            }
            _ => {}
        }
    }
    hold
}

/// Two latencies on one target add up and are allowed. A replica that is down, however, can neither die again nor
/// be slow. A fault on all of several replicas stays in force at the others, so it may overlap a kill of one. One that
/// waits for another's end does not overlap it, and one that waits for a breaker may come at any time: of that nothing
/// can be said beforehand.
pub(super) fn nothing_overlaps(drafts: &[&Draft<'_>], shop: &Shop) -> bool {
    let plan = Plan::of(drafts);
    let mut apart = true;
    for (i, later_draft) in drafts.iter().enumerate() {
        for earlier_draft in &drafts[..i] {
            let pairs = pairs(earlier_draft, later_draft);
            let met = pairs.into_iter().find_map(|(earlier, later)| {
                Some((earlier, later, plan.clash(earlier, later, shop)?))
            });
            let Some((earlier, later, (down, replica))) = met else {
                continue;
            };
            later_draft.at.mistake(format!(
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

/// Every fault, and where it stands.
fn each<'a, 'd>(drafts: &'a [&'a Draft<'d>]) -> impl Iterator<Item = (&'a Fault, Node<'d>)> {
    let of = |d: &&'a Draft<'d>| {
        let at = d.at;
        d.faults.iter().flatten().map(move |f| (f, at))
    };
    drafts.iter().flat_map(of)
}

fn pairs<'a>(earlier: &'a Draft<'_>, later: &'a Draft<'_>) -> Vec<(&'a Fault, &'a Fault)> {
    let of = |a: &'a Fault| later.faults.iter().flatten().map(move |b| (a, b));
    earlier.faults.iter().flatten().flat_map(of).collect()
}

/// All faults by name, to follow chains.
struct Plan<'a> {
    faults: BTreeMap<&'a str, &'a Fault>,
}

impl<'a> Plan<'a> {
    fn of(drafts: &'a [&'a Draft<'_>]) -> Self {
        let faults = each(drafts).map(|(f, _)| (f.name.as_str(), f));
        Self {
            faults: faults.collect(),
        }
    }

    /// Those that a fault waits for, the nearest first. The walk ends where a chain begins, is broken, or bites its
    /// own tail.
    fn chain(&self, fault: &'a Fault) -> Vec<&'a Fault> {
        let mut chain: Vec<&'a Fault> = Vec::new();
        let mut now = fault;
        while let Begin::After { fault: other, .. } = &now.begins
            && let Some(before) = self.faults.get(other.as_str())
            && !chain.iter().any(|f| f.name == before.name)
        {
            chain.push(before);
            now = before;
        }
        chain
    }

    fn waits_for_itself(&self, fault: &'a Fault) -> bool {
        self.chain(fault).iter().any(|f| f.name == fault.name)
    }

    /// The window when everything that it waits for happens as early as it can. `None` when its chain is broken.
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

    /// The window by plan: not known where a breaker is waited for.
    fn window(&self, fault: &'a Fault) -> Option<Window> {
        let by_breaker = |f: &Fault| matches!(f.begins, Begin::When { .. });
        if by_breaker(fault) || self.chain(fault).into_iter().any(by_breaker) {
            return None;
        }
        self.earliest(fault)
    }

    /// When a replica is down and which, where two faults cannot be in force together.
    fn clash(&self, a: &'a Fault, b: &'a Fault, shop: &Shop) -> Option<(Window, Target)> {
        let (down, other) = if a.kind.takes_replica_down() {
            (a, b)
        } else {
            (b, a)
        };
        // A path is there whether or not its ends are.
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
        // A replica is ready some time after its restart, so the end of its window still counts.
        let other_is_before = o.to <= w.from && !other.kind.takes_replica_down();
        let overlaps = o.from <= w.to && w.from <= o.to && !other_is_before;
        overlaps.then_some((w, replica))
    }
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
