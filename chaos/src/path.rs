//! Faults of a path: what happens to connections between two services that are both well. Plain data, and the toxics
//! that stand for it in a proxy on the path.

use std::time::Duration;

use crate::proxy::{Kind, NewToxic, Stream};

/// What is done to the connections of a way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PathFault {
    /// What happens to them.
    pub effect: PathEffect,
    /// The share of connections that it touches, above 0 and up to 1.
    pub share: f64,
    /// Which way it acts on. A reset has no direction: it is [`Direction::Both`].
    pub direction: Direction,
}

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathEffect {
    /// All that is sent comes later.
    Latency {
        /// In the middle.
        delay: Duration,
        /// More or less, each value as likely.
        jitter: Duration,
    },
    /// At most so much gets through.
    Bandwidth {
        /// Thousands of bytes a second, at least 1.
        kilobytes_per_s: u64,
    },
    /// What is sent comes in small pieces.
    Slicer {
        /// Bytes of a piece on average, at least 1.
        size: u64,
        /// More or fewer bytes, each number as likely.
        variation: u64,
        /// Between two pieces.
        delay: Duration,
    },
    /// It is reset.
    Reset,
    /// What is sent never comes.
    Timeout,
    /// Its end comes later.
    SlowClose {
        /// By so much.
        delay: Duration,
    },
    /// It is closed when so much has come through.
    Limit {
        /// Bytes since the fault met the connection.
        bytes: u64,
    },
}

/// Which way of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// What the caller sends.
    To,
    /// What the caller gets.
    From,
    /// Each of them.
    Both,
}

impl Direction {
    /// As scenarios write them.
    pub const NAMES: [&'static str; 3] = ["to", "from", "both"];

    /// The direction of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::To, Self::From, Self::Both]
            .into_iter()
            .find(|d| d.name() == name)
    }

    /// As in [`Self::NAMES`].
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
    /// The kind's name, as in [`KINDS`](crate::KINDS).
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

    /// What it acts on where nothing else is said: the answers, which are what a caller waits for. Nothing passes in a
    /// black hole, and a reset is one for both.
    pub fn usual_direction(&self) -> Direction {
        match self {
            Self::Reset | Self::Timeout => Direction::Both,
            _ => Direction::From,
        }
    }

    fn toxic(self) -> Kind {
        match self {
            Self::Latency { delay, jitter } => Kind::Latency {
                latency: delay,
                jitter,
            },
            Self::Bandwidth { kilobytes_per_s } => Kind::Bandwidth {
                rate: kilobytes_per_s,
            },
            Self::Slicer {
                size,
                variation,
                delay,
            } => Kind::Slicer {
                average_size: size,
                size_variation: variation,
                delay,
            },
            Self::Reset => Kind::ResetPeer {
                timeout: Duration::ZERO,
            },
            // For as long as it is there.
            Self::Timeout => Kind::Timeout {
                timeout: Duration::ZERO,
            },
            Self::SlowClose { delay } => Kind::SlowClose { delay },
            Self::Limit { bytes } => Kind::LimitData { bytes },
        }
    }
}

impl PathFault {
    /// The toxics that are this fault in a proxy, for so long at most. Where there are two of them, a connection that is
    /// touched on one way is on the other.
    pub(crate) fn toxics(&self, name: &str, ttl: Duration) -> Vec<NewToxic> {
        let streams = match self.effect {
            // One reset is enough: it is done to both ends.
            PathEffect::Reset => &[Stream::Upstream],
            _ => self.direction.streams(),
        };
        let toxic = |stream: &Stream| {
            NewToxic::new(self.effect.toxic())
                .named(format!("{name}_{}", stream.name()))
                .on(*stream)
                .toxicity(self.share)
                .lots_of(name)
                .ttl(ttl)
        };
        streams.iter().map(toxic).collect()
    }

    /// What it does, the same in every release, for the digest of a run's plan.
    pub(crate) fn digest(&self) -> String {
        let us = |d: Duration| d.as_micros();
        let what = match self.effect {
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
        format!("share={} direction={direction}{what}", self.share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_both_ways_is_a_toxic_on_each_that_draws_the_same_lots() {
        let mut fault = PathFault {
            effect: PathEffect::Timeout,
            share: 0.5,
            direction: Direction::Both,
        };
        let ttl = Duration::from_secs(3);
        let toxics = fault.toxics("hole", ttl);
        let streams: Vec<Stream> = toxics.iter().map(|t| t.stream).collect();
        assert_eq!(streams, [Stream::Upstream, Stream::Downstream]);
        assert!(toxics.iter().all(|t| t.lots.as_deref() == Some("hole")));
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
        assert_eq!(toxics[0].kind, Kind::LimitData { bytes: 7 });
        assert_eq!(toxics[0].stream, Stream::Upstream);
    }
}
