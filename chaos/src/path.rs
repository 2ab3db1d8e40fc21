//! Path faults: faults of the connections between two healthy services. Plain data, and its toxics for the proxy on a
//! path.

use std::time::Duration;

use crate::proxy::{NewToxic, Stream, ToxicKind};

/// A fault of the connections of an edge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PathFault {
    /// What happens to a connection.
    pub effect: PathEffect,
    /// The share of connections that it affects, above 0 and up to 1.
    pub share: f64,
    /// The direction that it affects. A reset has no direction: it is [`Direction::Both`].
    pub direction: Direction,
}

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathEffect {
    /// All data is delayed.
    Latency {
        /// The mean delay.
        delay: Duration,
        /// The largest difference from the mean, in both directions; uniform.
        jitter: Duration,
    },
    /// The throughput is limited.
    Bandwidth {
        /// In units of 1000 bytes a second, at least 1.
        kilobytes_per_s: u64,
    },
    /// Data is sent in small pieces.
    Slicer {
        /// Mean size of a piece in bytes, at least 1.
        size: u64,
        /// The largest difference from the mean in bytes; uniform.
        variation: u64,
        /// Delay between two pieces.
        delay: Duration,
    },
    /// The connection is reset.
    Reset,
    /// All data is dropped.
    Timeout,
    /// The end of the connection is delayed.
    SlowClose {
        /// By this time.
        delay: Duration,
    },
    /// The connection is closed after some data.
    Limit {
        /// Bytes since the fault began, or since the connection opened.
        bytes: u64,
    },
}

/// The direction of data on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the caller.
    To,
    /// To the caller.
    From,
    /// Both directions.
    Both,
}

impl Direction {
    /// All directions.
    pub const ALL: [Self; 3] = [Self::To, Self::From, Self::Both];

    /// Its name in scenarios.
    pub fn name(self) -> &'static str {
        match self {
            Self::To => "to",
            Self::From => "from",
            Self::Both => "both",
        }
    }

    fn streams(self) -> &'static [Stream] {
        match self {
            Self::To => &[Stream::Upstream],
            Self::From => &[Stream::Downstream],
            Self::Both => &[Stream::Upstream, Stream::Downstream],
        }
    }
}

impl PathEffect {
    /// The name of the kind, as in [`KINDS`](crate::KINDS).
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Latency { .. } => "tcp-latency",
            Self::Bandwidth { .. } => "tcp-bandwidth",
            Self::Slicer { .. } => "tcp-slicer",
            Self::Reset => "tcp-reset",
            Self::Timeout => "tcp-timeout",
            Self::SlowClose { .. } => "tcp-slow-close",
            Self::Limit { .. } => "tcp-limit",
        }
    }

    /// The direction if a scenario gives none: the replies, since a caller waits for them. A timeout and a reset affect
    /// both directions.
    pub fn default_direction(&self) -> Direction {
        match self {
            Self::Reset | Self::Timeout => Direction::Both,
            _ => Direction::From,
        }
    }

    fn toxic(self) -> ToxicKind {
        match self {
            Self::Latency { delay, jitter } => ToxicKind::Latency {
                latency: delay,
                jitter,
            },
            Self::Bandwidth { kilobytes_per_s } => ToxicKind::Bandwidth {
                rate: kilobytes_per_s,
            },
            Self::Slicer {
                size,
                variation,
                delay,
            } => ToxicKind::Slicer {
                average_size: size,
                size_variation: variation,
                delay,
            },
            Self::Reset => ToxicKind::ResetPeer {
                timeout: Duration::ZERO,
            },
            // Zero means: until the toxic is removed.
            Self::Timeout => ToxicKind::Timeout {
                timeout: Duration::ZERO,
            },
            Self::SlowClose { delay } => ToxicKind::SlowClose { delay },
            Self::Limit { bytes } => ToxicKind::LimitData { bytes },
        }
    }
}

impl PathFault {
    /// The toxics of this fault in a proxy, with this time to live. If there are two, one for each direction, both
    /// affect the same connections.
    pub(crate) fn toxics(&self, name: &str, ttl: Duration) -> Vec<NewToxic> {
        let streams = match self.effect {
            // One toxic resets both ends.
            PathEffect::Reset => &[Stream::Upstream],
            _ => self.direction.streams(),
        };
        let toxic = |stream: &Stream| {
            NewToxic::new(self.effect.toxic())
                .named(format!("{name}_{}", stream.name()))
                .on(*stream)
                .toxicity(self.share)
                .select_like(name)
                .ttl(ttl)
        };
        streams.iter().map(toxic).collect()
    }

    /// Its parameters for the digest of a run's plan, the same in every release.
    pub(crate) fn digest(&self) -> String {
        let us = |d: Duration| d.as_micros();
        let parameters = match self.effect {
            PathEffect::Latency { delay, jitter } => {
                format!(" delay_us={} jitter_us={}", us(delay), us(jitter))
            }
            PathEffect::Bandwidth { kilobytes_per_s } => format!(" rate_kb={kilobytes_per_s}"),
            PathEffect::Slicer {
                size,
                variation,
                delay,
            } => format!(" size={size} variation={variation} delay_us={}", us(delay)),
            PathEffect::Reset | PathEffect::Timeout => String::new(),
            PathEffect::SlowClose { delay } => format!(" delay_us={}", us(delay)),
            PathEffect::Limit { bytes } => format!(" bytes={bytes}"),
        };
        let direction = self.direction.name();
        format!("share={} direction={direction}{parameters}", self.share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_in_both_directions_has_a_toxic_for_each_that_selects_the_same_connections() {
        let mut fault = PathFault {
            effect: PathEffect::Timeout,
            share: 0.5,
            direction: Direction::Both,
        };
        let ttl = Duration::from_secs(3);
        let toxics = fault.toxics("hole", ttl);
        let streams: Vec<Stream> = toxics.iter().map(|t| t.stream).collect();
        assert_eq!(streams, [Stream::Upstream, Stream::Downstream]);
        assert!(
            toxics
                .iter()
                .all(|t| t.selection.as_deref() == Some("hole"))
        );
        assert!(
            toxics
                .iter()
                .all(|t| t.ttl == Some(ttl) && t.toxicity == 0.5)
        );
        fault.effect = PathEffect::Reset;
        assert_eq!(fault.toxics("cut", ttl).len(), 1);
        fault.effect = PathEffect::Limit { bytes: 7 };
        fault.direction = Direction::To;
        let toxics = fault.toxics("little", ttl);
        assert_eq!(toxics.len(), 1);
        assert_eq!(toxics[0].kind, ToxicKind::LimitData { bytes: 7 });
        assert_eq!(toxics[0].stream, Stream::Upstream);
    }
}
