//! Values that several kinds of fault have.

use std::time::Duration;

use shop_contract::faults::Distribution;
use syntax::units::{self, show_duration};
use syntax::{Map, Node};

/// The names of distributions in scenarios. The first is the default.
pub(super) const DISTRIBUTIONS: [(&str, Distribution); 3] = [
    ("uniform", Distribution::Uniform),
    ("normal", Distribution::Normal),
    ("exponential", Distribution::Exponential),
];

/// `delay` and `jitter` in microseconds. With `within_delay`, the jitter must not be larger than the delay.
pub(super) fn delays(map: &mut Map<'_>, within_delay: bool) -> Option<(u64, u64)> {
    let delay = map.required("delay", |n| positive(n, "a delay"));
    let jitter = match map.get("jitter") {
        None => Some(Duration::ZERO),
        Some(node) => units::duration(node).filter(|jitter| match delay {
            Some(delay) if within_delay && *jitter > delay => {
                node.mistake(format!(
                    "a jitter of {} is larger than the delay of {}, and no request can wait less than nothing",
                    show_duration(*jitter),
                    show_duration(delay)
                ));
                false
            }
            _ => true,
        }),
    };
    let whole_us = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
    Some((whole_us(delay?), whole_us(jitter?)))
}

/// `share`, above 0; 1 if absent.
pub(super) fn share(map: &mut Map<'_>) -> Option<f64> {
    map.get("share").map_or(Some(1.0), positive_share)
}

pub(super) fn positive_share(node: Node<'_>) -> Option<f64> {
    let share = units::share(node)?;
    if share == 0.0 {
        node.mistake("a share of 0% touches no request; leave the fault out instead");
    }
    (share > 0.0).then_some(share)
}

/// `value`, which was read from `node`, if it is not 0.
pub(super) fn non_zero(node: Node<'_>, value: u64) -> Option<u64> {
    if value == 0 {
        node.mistake("it must be more than nothing");
    }
    (value > 0).then_some(value)
}

/// A duration above 0; `name` is for the message.
pub(super) fn positive(node: Node<'_>, name: &str) -> Option<Duration> {
    let value = units::duration(node)?;
    if value.is_zero() {
        node.mistake(format!("{name} must be more than 0s"));
        return None;
    }
    Some(value)
}
