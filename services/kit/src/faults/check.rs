//! Which fault orders are refused, and with what advice.

use shop_contract::Role;
use shop_contract::faults::{Distribution, FaultEffect, FaultOrder, MAX_TTL_MS, Only, Touches};

use super::error::FaultRefused;

/// Checks the values that every fault has.
pub(super) fn values(order: &FaultOrder) -> Result<(), FaultRefused> {
    if order.name.is_empty() {
        return invalid("a fault needs a name");
    }
    if order.ttl_ms == 0 || order.ttl_ms > MAX_TTL_MS {
        return invalid(
            "`ttl_ms` must be from 1 to 3600000: a fault that never ends is not accepted",
        );
    }
    if !(order.share > 0.0 && order.share <= 1.0) {
        return invalid("`share` must be above 0 and at most 1");
    }
    if order.effect.touches() != Touches::Requests && !order.only.is_everything() {
        return invalid("`only` narrows down requests, and this kind of fault touches none");
    }
    match order.effect {
        FaultEffect::Latency {
            delay_us,
            jitter_us,
            distribution: Distribution::Uniform,
        } if jitter_us > delay_us => invalid(
            "`jitter_us` must be at most `delay_us`, since no request can wait less than nothing",
        ),
        FaultEffect::Error { status } if !(400..=599).contains(&status) => {
            invalid("`status` must be from 400 to 599")
        }
        FaultEffect::SlowBody { bytes_per_s: 0 } => invalid(
            "`bytes_per_s` must be above 0; for an answer that never comes there is kind `hang`",
        ),
        _ => Ok(()),
    }
}

/// Checks the `only` of an order at a service of this role with these peers.
pub(super) fn target(order: &FaultOrder, role: Role, peers: &[Role]) -> Result<(), FaultRefused> {
    let only = &order.only;
    if order.effect == FaultEffect::Refuse && only.calling.is_none() {
        return invalid(
            "kind `refuse` needs `only.calling`: it is the caller that cannot connect, so ask the caller for it; \
             to close a service to everybody, kill or pause it, or use kind `abort`",
        );
    }
    if let Some(peer) = only.calling
        && !peers.contains(&peer)
    {
        return invalid(&format!(
            "{role} was given no address of {peer}, so it calls it never"
        ));
    }
    if only.calling.is_none() && only.caller.is_some() && role == Role::Bank {
        return invalid(
            "the bank is an outside party and is not told who calls; ask the caller for the fault, with `only.calling`",
        );
    }
    if only.calling.is_some() && only.caller.is_some_and(|caller| caller != role) {
        return invalid(&format!("with `only.calling` the caller is {role} itself"));
    }
    syntax(only)
}

fn syntax(only: &Only) -> Result<(), FaultRefused> {
    if let Some(route) = &only.route {
        let path = route.split_once(' ').map_or(route.as_str(), |(_, p)| p);
        if !path.trim_start().starts_with('/') {
            return invalid(
                "`only.route` must be a route's template, such as `POST /orders` or `/products/{id}`",
            );
        }
    }
    if only.shoppers.is_some_and(|s| !(s > 0.0 && s <= 1.0)) {
        return invalid("`only.shoppers` must be above 0 and at most 1");
    }
    Ok(())
}

fn invalid(message: &str) -> Result<(), FaultRefused> {
    Err(FaultRefused::Invalid(message.to_owned()))
}
