//! The keys of the kinds that touch a path.

use std::time::Duration;

use syntax::units;
use syntax::{Map, Node};

use super::kind::{above_nothing, delays, positive, share};
use crate::kinds::KindInfo;
use crate::path::{Direction, PathEffect, PathFault};

/// Reads what is done to connections. `for` has been read.
pub(super) fn read(map: &mut Map<'_>, info: &KindInfo) -> Option<PathFault> {
    let effect = effect(map, info);
    let share = share(map);
    let direction = map.get("direction").map(direction);
    let effect = effect?;
    Some(PathFault {
        effect,
        share: share?,
        direction: direction.unwrap_or(Some(effect.usual_direction()))?,
    })
}

fn effect(map: &mut Map<'_>, info: &KindInfo) -> Option<PathEffect> {
    Some(match info.name {
        "tcp-latency" => {
            let (delay_us, jitter_us) = delays(map, true)?;
            PathEffect::Latency {
                delay: Duration::from_micros(delay_us),
                jitter: Duration::from_micros(jitter_us),
            }
        }
        "tcp-bandwidth" => PathEffect::Bandwidth {
            kilobytes_per_s: map.required("rate", rate)?,
        },
        "tcp-slicer" => {
            let size = map.required("size", |n| above_nothing(n, units::size(n)?));
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
        "tcp-reset" => PathEffect::Reset,
        "tcp-timeout" => PathEffect::Timeout,
        "tcp-slow-close" => PathEffect::SlowClose {
            delay: whole_us(map.required("delay", |n| positive(n, "a delay"))?),
        },
        "tcp-limit" => PathEffect::Limit {
            bytes: map.required("size", |n| above_nothing(n, units::size(n)?))?,
        },
        // A row without a reader. That there is none, the test of all examples makes sure.
        other => {
            map.node().mistake(format!("`{other}` cannot be read yet"));
            return None;
        }
    })
}

fn direction(node: Node<'_>) -> Option<Direction> {
    Direction::named(node.one_of(&Direction::NAMES)?)
}

/// In thousands of bytes a second.
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
