//! What a toxic is: Toxiproxy's names and attributes, and what values they may have. Pure.

use std::time::Duration;

use super::error::ProxyError;

/// The longest time that is taken. Instants have an end, and nobody waits this long.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Which way a toxic acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// From the client to the upstream server.
    Upstream,
    /// From the upstream server to the client.
    Downstream,
}

impl Stream {
    /// As in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Downstream => "downstream",
        }
    }

    /// # Errors
    /// [`ProxyError::Stream`].
    pub fn parse(text: &str) -> Result<Self, ProxyError> {
        [Self::Upstream, Self::Downstream]
            .into_iter()
            .find(|s| s.name().eq_ignore_ascii_case(text))
            .ok_or(ProxyError::Stream)
    }
}

/// What a toxic does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Noop,
    /// Each chunk, and the end of sending, comes later by `latency` ± `jitter`, in order.
    Latency {
        /// In the middle.
        latency: Duration,
        /// Evenly, either way.
        jitter: Duration,
    },
    /// At most so much gets through. Nothing does at 0.
    Bandwidth {
        /// Kilobytes (1000 bytes) a second.
        rate: u64,
    },
    /// The end of sending is passed on later.
    SlowClose {
        /// By so much.
        delay: Duration,
    },
    /// All data is dropped. The connection is closed after the timeout, or when the toxic is taken away: its stream
    /// has a hole.
    Timeout {
        /// Since the toxic met the connection; 0 for never.
        timeout: Duration,
    },
    /// The connection is reset, both ways. Until then data is held back.
    ResetPeer {
        /// Since the toxic met the connection.
        timeout: Duration,
    },
    /// Data is passed on in small pieces.
    Slicer {
        /// Bytes of a piece on average; not 0.
        average_size: u64,
        /// More or fewer bytes, evenly.
        size_variation: u64,
        /// Between pieces; microseconds in the API.
        delay: Duration,
    },
    /// The connection is closed when so much was passed on.
    LimitData {
        /// Bytes since the toxic met the connection.
        bytes: u64,
    },
}

impl Kind {
    /// The names of all types.
    pub const NAMES: [&'static str; 8] = [
        "latency",
        "bandwidth",
        "slow_close",
        "timeout",
        "reset_peer",
        "slicer",
        "limit_data",
        "noop",
    ];

    /// As in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Noop => "noop",
            Self::Latency { .. } => "latency",
            Self::Bandwidth { .. } => "bandwidth",
            Self::SlowClose { .. } => "slow_close",
            Self::Timeout { .. } => "timeout",
            Self::ResetPeer { .. } => "reset_peer",
            Self::Slicer { .. } => "slicer",
            Self::LimitData { .. } => "limit_data",
        }
    }

    /// The type of that name with every attribute 0.
    ///
    /// # Errors
    /// [`ProxyError::Type`], with what was probably meant.
    pub fn named(name: &str) -> Result<Self, ProxyError> {
        let zero = Duration::ZERO;
        Ok(match name {
            "noop" => Self::Noop,
            "latency" => Self::Latency {
                latency: zero,
                jitter: zero,
            },
            "bandwidth" => Self::Bandwidth { rate: 0 },
            "slow_close" => Self::SlowClose { delay: zero },
            "timeout" => Self::Timeout { timeout: zero },
            "reset_peer" => Self::ResetPeer { timeout: zero },
            "slicer" => Self::Slicer {
                average_size: 0,
                size_variation: 0,
                delay: zero,
            },
            "limit_data" => Self::LimitData { bytes: 0 },
            other => {
                let meant = syntax::did_you_mean(other, &Self::NAMES);
                return Err(ProxyError::Type(format!("`{other}`, {meant}")));
            }
        })
    }

    /// Its attributes in the API's units: milliseconds, but for the slicer's delay, which has microseconds.
    pub fn attributes(self) -> Vec<(&'static str, u64)> {
        let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        match self {
            Self::Noop => vec![],
            Self::Latency { latency, jitter } => {
                vec![("latency", ms(latency)), ("jitter", ms(jitter))]
            }
            Self::Bandwidth { rate } => vec![("rate", rate)],
            Self::SlowClose { delay } => vec![("delay", ms(delay))],
            Self::Timeout { timeout } | Self::ResetPeer { timeout } => {
                vec![("timeout", ms(timeout))]
            }
            Self::Slicer {
                average_size,
                size_variation,
                delay,
            } => vec![
                ("average_size", average_size),
                ("size_variation", size_variation),
                (
                    "delay",
                    u64::try_from(delay.as_micros()).unwrap_or(u64::MAX),
                ),
            ],
            Self::LimitData { bytes } => vec![("bytes", bytes)],
        }
    }

    /// Sets one attribute, in the units of [`attributes`](Self::attributes). One that the type does not have is left
    /// alone, as Toxiproxy does.
    pub fn set(&mut self, attribute: &str, value: u64) {
        match (self, attribute) {
            (Self::Latency { latency: field, .. }, "latency")
            | (Self::Latency { jitter: field, .. }, "jitter")
            | (Self::SlowClose { delay: field }, "delay")
            | (Self::Timeout { timeout: field } | Self::ResetPeer { timeout: field }, "timeout") => {
                *field = Duration::from_millis(value);
            }
            (Self::Slicer { delay, .. }, "delay") => *delay = Duration::from_micros(value),
            (Self::Bandwidth { rate: field }, "rate")
            | (
                Self::Slicer {
                    average_size: field,
                    ..
                },
                "average_size",
            )
            | (
                Self::Slicer {
                    size_variation: field,
                    ..
                },
                "size_variation",
            )
            | (Self::LimitData { bytes: field }, "bytes") => *field = value,
            _ => {}
        }
    }

    /// # Errors
    /// [`ProxyError::Body`] for values that mean nothing.
    pub(super) fn check(self) -> Result<(), ProxyError> {
        if let Self::Slicer {
            average_size: 0, ..
        } = self
        {
            return Err(ProxyError::Body(
                "average_size of a slicer is the bytes of a piece, at least 1".to_owned(),
            ));
        }
        let times = match self {
            Self::Latency { latency, jitter } => [latency, jitter],
            Self::SlowClose { delay } | Self::Slicer { delay, .. } => [delay, delay],
            Self::Timeout { timeout } | Self::ResetPeer { timeout } => [timeout, timeout],
            Self::Noop | Self::Bandwidth { .. } | Self::LimitData { .. } => return Ok(()),
        };
        if times.iter().any(|t| *t > LONGEST) {
            return Err(ProxyError::Body(
                "a time of more than a year cannot be waited for".to_owned(),
            ));
        }
        Ok(())
    }
}

/// A toxic that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct NewToxic {
    /// `<type>_<stream>` when there is none.
    pub name: Option<String>,
    /// What it does.
    pub kind: Kind,
    /// Which way.
    pub stream: Stream,
    /// The share of connections that it touches, 0 to 1.
    pub toxicity: f64,
    /// After so long it ends by itself.
    pub ttl: Option<Duration>,
    /// Toxics of one proxy that have this in common touch the same connections, as far as their shares go and where each
    /// of their names has been added as often as the others.
    pub lots: Option<String>,
}

impl NewToxic {
    /// A toxic on all that comes from the upstream server, of every connection and until it is removed.
    pub fn new(kind: Kind) -> Self {
        Self {
            name: None,
            kind,
            stream: Stream::Downstream,
            toxicity: 1.0,
            ttl: None,
            lots: None,
        }
    }

    /// With a name of its own.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// On that way.
    pub fn on(mut self, stream: Stream) -> Self {
        self.stream = stream;
        self
    }

    /// For that share of connections, 0 to 1.
    pub fn toxicity(mut self, toxicity: f64) -> Self {
        self.toxicity = toxicity;
        self
    }

    /// Touching the connections that others with these lots do.
    pub fn lots_of(mut self, lots: impl Into<String>) -> Self {
        self.lots = Some(lots.into());
        self
    }

    /// For that long.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    pub(super) fn check(&self) -> Result<(), ProxyError> {
        self.kind.check()?;
        check_toxicity(self.toxicity)?;
        check_ttl(self.ttl)
    }
}

pub(super) fn check_toxicity(toxicity: f64) -> Result<(), ProxyError> {
    if (0.0..=1.0).contains(&toxicity) {
        return Ok(());
    }
    Err(ProxyError::Body(format!(
        "toxicity {toxicity} is not a share of connections: use 0 to 1"
    )))
}

pub(super) fn check_ttl(ttl: Option<Duration>) -> Result<(), ProxyError> {
    match ttl {
        Some(ttl) if ttl.is_zero() || ttl > LONGEST => Err(ProxyError::Body(
            "ttl_ms is from 1 to a year; leave it out for a toxic that stays".to_owned(),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_its_name_and_takes_back_its_own_attributes() {
        for name in Kind::NAMES {
            let mut kind = Kind::named(name).unwrap();
            assert_eq!(kind.name(), name);
            let attributes: Vec<_> = kind.attributes().iter().map(|(a, _)| *a).collect();
            for (n, attribute) in attributes.iter().enumerate() {
                kind.set(attribute, n as u64 + 3);
            }
            kind.set("no_such_attribute", 1);
            let read: Vec<_> = kind.attributes();
            for (n, attribute) in attributes.iter().enumerate() {
                assert_eq!(read[n], (*attribute, n as u64 + 3));
            }
            kind.check().unwrap();
        }
    }

    #[test]
    fn what_means_nothing_is_refused_with_what_to_do() {
        let typo = Kind::named("latencey").unwrap_err().to_string();
        assert!(typo.contains("did you mean `latency`?"), "{typo}");
        let slicer = NewToxic::new(Kind::named("slicer").unwrap());
        assert!(slicer.check().is_err());
        let noop = NewToxic::new(Kind::Noop);
        for share in [-0.1, 1.1, f64::NAN] {
            assert!(noop.clone().toxicity(share).check().is_err());
        }
        assert!(noop.clone().ttl(Duration::ZERO).check().is_err());
        let mut long = Kind::named("latency").unwrap();
        long.set("latency", u64::MAX);
        assert!(long.check().is_err());
        assert_eq!(Stream::parse("Upstream").unwrap(), Stream::Upstream);
        assert!(Stream::parse("sideways").is_err());
    }
}
