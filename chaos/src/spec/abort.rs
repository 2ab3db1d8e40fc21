//! Reads the `abort:` of a scenario.

use std::time::Duration;

use results::expect::{Limit, Quantile};
use syntax::units::{self, show_duration};
use syntax::{Map, Node, did_you_mean};

use crate::abort::AbortCondition;

/// The record has one line a second, so a shorter time cannot be measured.
const LEAST: Duration = Duration::from_secs(1);

/// Reads the list of conditions. `steps` are the steps of shoppers. `None` when mistakes leave no valid list.
pub fn read(node: Node<'_>, steps: &[&str]) -> Option<Vec<AbortCondition>> {
    let read: Vec<Option<AbortCondition>> = node
        .list()?
        .into_iter()
        .map(|item| condition(item.map()?, steps))
        .collect();
    read.into_iter().collect()
}

fn condition(mut map: Map<'_>, steps: &[&str]) -> Option<AbortCondition> {
    let node = map.node();
    let step = match map.get("step") {
        None => Some(None),
        Some(node) => known_step(node, steps).map(Some),
    };
    let mut limits = Vec::new();
    let mut limits_given = 0;
    if let Some(node) = map.get("errors") {
        limits_given += 1;
        limits.extend(share(node).map(|at_most| Limit::Errors { at_most }));
    }
    for quantile in Quantile::ALL {
        if let Some(node) = map.get(quantile.name()) {
            limits_given += 1;
            let at_most = units::duration(node);
            limits.extend(at_most.map(|at_most| Limit::Response { quantile, at_most }));
        }
    }
    let lasts = map.required("for", lasts);
    map.finish();
    if limits_given != 1 {
        node.mistake(
            "a condition to stop at is about one figure: `errors` (such as errors: 50%) or one of p50, p90, p95, p99, \
             p999 (such as p99: 10s); write one entry for each",
        );
        return None;
    }
    Some(AbortCondition {
        step: step?,
        limit: limits.pop()?,
        lasts: lasts?,
    })
}

fn known_step(node: Node<'_>, steps: &[&str]) -> Option<String> {
    let step = node.text()?;
    if steps.contains(&step.as_str()) {
        return Some(step);
    }
    node.mistake(format!("no step `{step}`; {}", did_you_mean(&step, steps)));
    None
}

fn share(node: Node<'_>) -> Option<f64> {
    let share = units::share(node)?;
    if share == 0.0 {
        node.mistake("errors are always at 0% or more, so the run would stop at once");
    }
    (share > 0.0).then_some(share)
}

fn lasts(node: Node<'_>) -> Option<Duration> {
    let lasts = units::duration(node)?;
    if lasts < LEAST {
        node.mistake(format!(
            "figures come once a second, so the least is {}",
            show_duration(LEAST)
        ));
        return None;
    }
    Some(lasts)
}
