//! What services report about their calls: breakers that opened on paths to a target, and retries.
//!
//! The edges of the record show which service calls which. The *dependants* of a service are its callers and their
//! callers.
//!
//! Retries are measured as attempts per call: all attempts over the attempts that do not repeat another one. Of a
//! request and its hedge only the one that was used is counted.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::{Edge, Interval, Retries};
use crate::steady::{ROUNDING_S, SteadyState};

use super::window::Window;

/// Separates caller and callee in the name of an edge.
const ARROW: char = '→';

/// The edges of the record, seen from one service.
pub(super) struct Callers<'r> {
    intervals: &'r [Interval],
    role: &'r str,
    /// The service and its dependants.
    affected: BTreeSet<&'r str>,
}

impl<'r> Callers<'r> {
    /// The edges, seen from `role`.
    pub(super) fn of(intervals: &'r [Interval], role: &'r str) -> Self {
        let edges: BTreeSet<(&str, &str)> = intervals
            .iter()
            .flat_map(|second| second.callers.keys())
            .filter_map(|edge| edge.split_once(ARROW))
            .collect();
        let mut affected = BTreeSet::from([role]);
        loop {
            let more = edges.iter().filter(|(_, callee)| affected.contains(callee));
            let more: Vec<&str> = more.map(|(caller, _)| *caller).collect();
            let before = affected.len();
            affected.extend(more);
            if affected.len() == before {
                break;
            }
        }
        Self {
            intervals,
            role,
            affected,
        }
    }

    /// The edges to the service and its dependants whose breaker opened in a window and was closed before. Each with
    /// the end of the first second in which it was seen open; earliest first.
    pub(super) fn opened(&self, window: Window) -> Vec<(&'r str, f64)> {
        let mut open: BTreeSet<&str> = BTreeSet::new();
        let mut opened: BTreeMap<&str, f64> = BTreeMap::new();
        for second in self.intervals {
            if second.t_s - 1.0 >= window.to_s - ROUNDING_S {
                break;
            }
            let now: BTreeSet<&str> = second
                .callers
                .iter()
                .filter(|(edge, counts)| counts.breaker_open && self.leads_here(edge))
                .map(|(edge, _)| edge.as_str())
                .collect();
            if second.t_s > window.from_s {
                for edge in now.difference(&open) {
                    opened.entry(edge).or_insert(second.t_s);
                }
            }
            open = now;
        }
        let mut opened: Vec<(&str, f64)> = opened.into_iter().collect();
        opened.sort_by(|a, b| a.1.total_cmp(&b.1));
        opened
    }

    fn leads_here(&self, edge: &str) -> bool {
        let callee = edge.split_once(ARROW).map(|(_, callee)| callee);
        callee.is_some_and(|callee| self.affected.contains(callee))
    }

    /// Attempts per call at the service. `None` if it was not seen being called.
    pub(super) fn retries_at_target(
        &self,
        window: Window,
        steady: Option<&SteadyState<'_>>,
    ) -> Option<Retries> {
        let into = |edge: &str| {
            edge.split_once(ARROW)
                .is_some_and(|(_, to)| to == self.role)
        };
        self.retries(window, steady, into)
    }

    /// Attempts per call of all services.
    pub(super) fn retries_everywhere(
        &self,
        window: Window,
        steady: Option<&SteadyState<'_>>,
    ) -> Option<Retries> {
        self.retries(window, steady, |_| true)
    }

    fn retries(
        &self,
        window: Window,
        steady: Option<&SteadyState<'_>>,
        includes: impl Fn(&str) -> bool,
    ) -> Option<Retries> {
        let before = steady.into_iter().flat_map(|s| s.seconds.iter().copied());
        let retries = Retries {
            before: per_call(before, &includes),
            during: per_call(window.seconds(self.intervals), &includes),
        };
        (retries != Retries::default()).then_some(retries)
    }
}

fn per_call<'r>(
    seconds: impl Iterator<Item = &'r Interval>,
    includes: impl Fn(&str) -> bool,
) -> Option<f64> {
    let mut sum = Edge::default();
    for (edge, counts) in seconds.flat_map(|second| &second.callers) {
        if includes(edge) {
            sum.attempts += counts.attempts;
            sum.retries += counts.retries;
        }
    }
    let calls = sum.attempts.checked_sub(sum.retries).filter(|n| *n > 0)?;
    Some(sum.attempts as f64 / calls as f64)
}
