//! Reads the keys of path faults.

use std::time::Duration;

use syntax::units;
use syntax::{Map, Node};

use super::values::{delays, non_zero, positive, share};
use crate::kinds::PathKind;
use crate::path::{Direction, PathEffect, PathFault};

/// Reads all keys of a path fault except `for`.
pub(super) fn read(map: &mut Map<'_>, kind: PathKind) -> Option<PathFault> {
    let effect = effect(map, kind);
    let share = share(map);
    let direction = map.get("direction").map(direction);
    let effect = effect?;
    Some(PathFault {
        effect,
        share: share?,
        direction: direction.unwrap_or(Some(effect.default_direction()))?,
    })
}

fn effect(map: &mut Map<'_>, kind: PathKind) -> Option<PathEffect> {
    Some(match kind {
        PathKind::Latency => {
            let (delay_us, jitter_us) = delays(map, true)?;
            PathEffect::Latency {
                delay: Duration::from_micros(delay_us),
                jitter: Duration::from_micros(jitter_us),
            }
        }
        PathKind::Bandwidth => PathEffect::Bandwidth {
            kilobytes_per_s: map.required("rate", rate)?,
        },
        PathKind::Slicer => {
            let size = map.required("size", |n| non_zero(n, units::size(n)?));
            let variation = map
                .get("variation")
                .map_or(Some(0), |n| variation(n, size?));
            let delay = map
                .get("delay")
                .map_or(Some(Duration::ZERO), units::duration);
            PathEffect::Slicer {
                size: size?,
                variation: variation?,
                delay: whole_us(delay?),
            }
        }
        PathKind::Reset => PathEffect::Reset,
        PathKind::Timeout => PathEffect::Timeout,
        PathKind::SlowClose => PathEffect::SlowClose {
            delay: whole_us(map.required("delay", |n| positive(n, "a delay"))?),
        },
        PathKind::Limit => PathEffect::Limit {
            bytes: map.required("size", |n| non_zero(n, units::size(n)?))?,
        },
    })
}

fn direction(node: Node<'_>) -> Option<Direction> {
    let name = node.one_of(&Direction::ALL.map(Direction::name))?;
    Direction::ALL.into_iter().find(|d| d.name() == name)
}

/// In units of 1000 bytes a second.
fn rate(node: Node<'_>) -> Option<u64> {
    let bytes_per_s = units::speed(node)?;
    if bytes_per_s < 1_000 || !bytes_per_s.is_multiple_of(1_000) {
        node.mistake(
            "the rate of a path is in whole KB/s, 1KB/s at least; where nothing is to pass there is `tcp-timeout`",
        );
        return None;
    }
    Some(bytes_per_s / 1_000)
}

fn variation(node: Node<'_>, size: u64) -> Option<u64> {
    let variation = units::size(node)?;
    if variation >= size {
        node.mistake("a variation as large as the size leaves pieces of nothing");
        return None;
    }
    Some(variation)
}

fn whole_us(time: Duration) -> Duration {
    Duration::from_micros(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}
