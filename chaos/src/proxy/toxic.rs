//! A toxic: the names, attributes and valid values of Toxiproxy. Pure.

use std::time::Duration;

use super::error::ProxyError;

/// The longest valid time. It keeps instants from overflowing.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// The direction that a toxic affects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// From the client to the upstream server.
    Upstream,
    /// From the upstream server to the client.
    Downstream,
}

impl Stream {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Downstream => "downstream",
        }
    }

    /// The direction with this name.
    ///
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
pub enum ToxicKind {
    /// Nothing.
    Noop,
    /// Each chunk, and the half-close, is delayed by `latency` ± `jitter`. The order is kept.
    Latency {
        /// The mean delay.
        latency: Duration,
        /// The largest difference from the mean; uniform.
        jitter: Duration,
    },
    /// The throughput is limited. At 0 nothing is passed on.
    Bandwidth {
        /// Kilobytes (1000 bytes) a second.
        rate: u64,
    },
    /// The half-close is delayed.
    SlowClose {
        /// By this time.
        delay: Duration,
    },
    /// All data is dropped. The connection is closed after the timeout, or when the toxic is removed, because bytes are
    /// missing from its stream.
    Timeout {
        /// Since the toxic was applied to the connection; 0 for never.
        timeout: Duration,
    },
    /// The connection is reset in both directions. Until then data waits.
    ResetPeer {
        /// Since the toxic was applied to the connection.
        timeout: Duration,
    },
    /// Data is sent in small pieces.
    Slicer {
        /// Mean size of a piece in bytes; not 0.
        average_size: u64,
        /// The largest difference from the mean in bytes; uniform.
        size_variation: u64,
        /// Delay between pieces; in microseconds in the API.
        delay: Duration,
    },
    /// The connection is closed after some data.
    LimitData {
        /// Bytes since the toxic was applied to the connection.
        bytes: u64,
    },
}

impl ToxicKind {
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

    /// Its name in the API.
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

    /// The type with this name; all attributes are 0.
    ///
    /// # Errors
    /// [`ProxyError::Type`], with a suggestion.
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

    /// Its attributes in the units of the API: times are in milliseconds, the slicer's delay in microseconds.
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

    /// Sets one attribute, in the units of [`attributes`](Self::attributes). Attributes of other types are ignored, as
    /// in Toxiproxy.
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
    /// [`ProxyError::Body`] for invalid values.
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

/// The configuration of a toxic.
#[derive(Debug, Clone, PartialEq)]
pub struct NewToxic {
    /// Its name; `<type>_<stream>` if `None`.
    pub name: Option<String>,
    /// What it does.
    pub kind: ToxicKind,
    /// The direction.
    pub stream: Stream,
    /// The share of connections that it affects, 0 to 1.
    pub toxicity: f64,
    /// Its time to live; `None` for a toxic that stays.
    pub ttl: Option<Duration>,
    /// A key for selecting connections, instead of the name. Toxics of one proxy with the same key and share affect the
    /// same connections, if toxics of their names were added equally often.
    pub selection: Option<String>,
}

impl NewToxic {
    /// A toxic for the downstream direction of every connection, without a time to live.
    pub fn new(kind: ToxicKind) -> Self {
        Self {
            name: None,
            kind,
            stream: Stream::Downstream,
            toxicity: 1.0,
            ttl: None,
            selection: None,
        }
    }

    /// Sets the name.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the direction.
    pub fn on(mut self, stream: Stream) -> Self {
        self.stream = stream;
        self
    }

    /// Sets the share of connections, 0 to 1.
    pub fn toxicity(mut self, toxicity: f64) -> Self {
        self.toxicity = toxicity;
        self
    }

    /// Sets the key for selecting connections.
    pub fn select_like(mut self, key: impl Into<String>) -> Self {
        self.selection = Some(key.into());
        self
    }

    /// Sets the time to live.
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
    fn each_type_is_found_by_name_and_attributes_can_be_set_and_read() {
        for name in ToxicKind::NAMES {
            let mut kind = ToxicKind::named(name).unwrap();
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
    fn invalid_values_are_refused_with_a_suggestion() {
        let typo = ToxicKind::named("latencey").unwrap_err().to_string();
        assert!(typo.contains("did you mean `latency`?"), "{typo}");
        let slicer = NewToxic::new(ToxicKind::named("slicer").unwrap());
        assert!(slicer.check().is_err());
        let noop = NewToxic::new(ToxicKind::Noop);
        for share in [-0.1, 1.1, f64::NAN] {
            assert!(noop.clone().toxicity(share).check().is_err());
        }
        assert!(noop.clone().ttl(Duration::ZERO).check().is_err());
        let mut long = ToxicKind::named("latency").unwrap();
        long.set("latency", u64::MAX);
        assert!(long.check().is_err());
        assert_eq!(Stream::parse("Upstream").unwrap(), Stream::Upstream);
        assert!(Stream::parse("sideways").is_err());
    }
}
