//! Which traces are kept: decided once, where a trace begins, and followed by everyone after.
//!
//! Every trace that is kept is whole, with its errors and its slow steps, because nobody decides a second time. New traces
//! are kept at a bounded rate ([`TokenBucket`]), so telemetry costs the same in a rush as on a quiet day; a ratio before
//! that thins them out further where somebody wants fewer.
//!
//! A caller who sends a `traceparent` has decided already. Inside of the shop that is final. At the shop's door it is a
//! wish: whoever asks there to be kept gets it from a bucket of its own, whatever the ratio. The bucket is as large as the
//! first one, and of the usual size where that has no limit. A developer with `curl` has a trace however busy the shop is,
//! and a stranger who sends the header with every request doubles the traces at worst. Who asks there not to be kept is
//! not, and where the ratio is 0 nobody is.
//!
//! A database statement or a call that belongs to nothing is housekeeping, such as a look into an empty queue. It begins no
//! trace.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use metrics::{counter, gauge};
use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};
use shop_resilience::TokenBucket;

use super::metrics::Metrics;
use super::names;
use crate::clock::Clock;

/// How many new traces are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// The share of new traces that may be kept, 0 to 1.
    pub ratio: f64,
    /// How many of those are kept a second; 0 is no limit.
    pub per_second: f64,
    /// Whether callers are strangers, whose wishes are bounded.
    pub at_the_door: bool,
}

impl Sampling {
    /// What is kept a second unless told otherwise: enough to have seen every route within seconds, and some hundred spans
    /// a second in all.
    pub const PER_SECOND: f64 = 10.0;

    /// The same with nothing kept. Whoever is called by one of us follows its caller even so; strangers are refused.
    #[must_use]
    pub const fn off(self) -> Self {
        Self { ratio: 0.0, ..self }
    }

    /// Whether anything can be kept that begins here.
    fn keeps(self) -> bool {
        self.ratio > 0.0
    }
}

/// What the sampler of a process has decided. Cloning shares it; one that no sampler knows of stays at nothing.
#[derive(Debug, Clone, Default)]
pub struct Started(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    kept: AtomicU64,
    dropped: AtomicU64,
    /// Not set where nothing is kept.
    per_second: OnceLock<f64>,
}

impl Started {
    /// Traces that began here and are kept.
    pub fn kept(&self) -> u64 {
        self.0.kept.load(Ordering::Relaxed)
    }

    /// Traces that began here and are not kept.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// How many are kept a second at most; 0 is no limit, and `None` that nothing is kept at all.
    pub fn per_second(&self) -> Option<f64> {
        self.0.per_second.get().copied()
    }

    /// Sets the figures: to be called before they are shown.
    pub(crate) fn show(&self, metrics: &Metrics) {
        metrics.record(|| {
            for (sampled, count) in [("true", self.kept()), ("false", self.dropped())] {
                counter!(names::TRACES_STARTED, "sampled" => sampled).absolute(count);
            }
            // Where nothing is kept, "no limit" would say the opposite of what is so.
            if let Some(limit) = self.per_second() {
                gauge!(names::TRACES_LIMIT).set(limit);
            }
        });
    }

    fn count(&self, kept: bool) {
        let count = if kept { &self.0.kept } else { &self.0.dropped };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// The sampler of a process. Cloning shares its buckets.
#[derive(Clone)]
pub struct RootSampler(Arc<Inner>);

struct Inner {
    ratio: Sampler,
    at_the_door: bool,
    clock: Clock,
    /// For traces that begin here. `None` is no limit.
    begun: Option<Mutex<TokenBucket>>,
    /// For those that a stranger asks for. `None` keeps none of them.
    asked_for: Option<Mutex<TokenBucket>>,
    started: Started,
}

impl RootSampler {
    /// A sampler that tells `started` what it decides.
    pub fn new(sampling: Sampling, started: Started) -> Self {
        let clock = Clock::start();
        let bucket = |rate| Mutex::new(TokenBucket::new(rate, clock.now()));
        let limit = Some(sampling.per_second).filter(|rate| *rate > 0.0);
        if sampling.keeps() {
            // A second sampler of one process (tests) has the limit of the first.
            let _ = started.0.per_second.set(sampling.per_second);
        }
        // Whoever has no limit for the shop's own has not offered it to strangers.
        let for_strangers = limit.unwrap_or(Sampling::PER_SECOND);
        Self(Arc::new(Inner {
            ratio: Sampler::TraceIdRatioBased(sampling.ratio),
            at_the_door: sampling.at_the_door,
            begun: limit.map(bucket),
            asked_for: sampling.keeps().then(|| bucket(for_strangers)),
            clock,
            started,
        }))
    }

    fn has_token(&self, bucket: &Mutex<TokenBucket>) -> bool {
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.take(self.0.clock.now())
    }

    fn begins(&self, trace: TraceId, name: &str, kind: &SpanKind) -> bool {
        if *kind == SpanKind::Client {
            return false;
        }
        let chosen = self
            .0
            .ratio
            .should_sample(None, trace, name, kind, &[], &[]);
        let kept = chosen.decision == SamplingDecision::RecordAndSample
            && self.0.begun.as_ref().is_none_or(|b| self.has_token(b));
        self.0.started.count(kept);
        kept
    }

    fn stranger_asks(&self) -> bool {
        let bucket = self.0.asked_for.as_ref();
        let kept = bucket.is_some_and(|b| self.has_token(b));
        self.0.started.count(kept);
        kept
    }
}

impl ShouldSample for RootSampler {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let above = parent.map(|cx| cx.span().span_context().clone());
        let above = above.filter(|span| span.is_valid());
        let kept = match &above {
            None => self.begins(trace, name, kind),
            Some(span) if span.is_sampled() && span.is_remote() && self.0.at_the_door => {
                self.stranger_asks()
            }
            Some(span) => span.is_sampled(),
        };
        SamplingResult {
            decision: match kept {
                true => SamplingDecision::RecordAndSample,
                false => SamplingDecision::Drop,
            },
            attributes: Vec::new(),
            trace_state: above.map_or_else(TraceState::default, |s| s.trace_state().clone()),
        }
    }
}

impl fmt::Debug for RootSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootSampler")
            .field("ratio", &self.0.ratio)
            .field("per_second", &self.0.started.per_second())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags};

    use super::*;

    const SHOP: Sampling = Sampling {
        ratio: 1.0,
        per_second: 10.0,
        at_the_door: true,
    };

    /// A parent of this trace, from another process or from this one.
    fn parent(flags: TraceFlags, is_remote: bool) -> Context {
        let (trace, span) = (TraceId::from(7u128), SpanId::from(7u64));
        let context = SpanContext::new(trace, span, flags, is_remote, TraceState::default());
        Context::new().with_remote_span_context(context)
    }

    fn keeps(sampler: &RootSampler, parent: Option<&Context>, kind: SpanKind) -> bool {
        let trace = TraceId::from(u128::MAX / 3);
        let result = sampler.should_sample(parent, trace, "GET /", &kind, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
    }

    #[test]
    fn a_rush_of_new_traces_is_kept_to_the_rate_and_counted() {
        let started = Started::default();
        let sampler = RootSampler::new(SHOP, started.clone());
        let begun = std::time::Instant::now();
        let kept = (0..2000)
            .filter(|_| keeps(&sampler, None, SpanKind::Server))
            .count();
        let most = 10.0 * (1.0 + begun.elapsed().as_secs_f64());
        assert!(kept >= 10 && kept as f64 <= most.ceil(), "{kept}");
        assert_eq!(
            (started.kept(), started.dropped()),
            (kept as u64, 2000 - kept as u64)
        );
        assert_eq!(started.per_second(), Some(10.0));
    }

    #[test]
    fn what_has_begun_is_followed_whatever_the_rate() {
        let sampler = RootSampler::new(SHOP, Started::default());
        let (kept, not) = (
            parent(TraceFlags::SAMPLED, false),
            parent(TraceFlags::NOT_SAMPLED, false),
        );
        assert!((0..100).all(|_| keeps(&sampler, Some(&kept), SpanKind::Client)));
        assert!((0..100).all(|_| !keeps(&sampler, Some(&not), SpanKind::Server)));
        let inside = RootSampler::new(
            Sampling {
                at_the_door: false,
                ..SHOP
            },
            Started::default(),
        );
        let called = parent(TraceFlags::SAMPLED, true);
        assert!((0..100).all(|_| keeps(&inside, Some(&called), SpanKind::Server)));
    }

    #[test]
    fn strangers_who_ask_for_traces_cannot_use_up_those_of_the_others() {
        let started = Started::default();
        let slow = Sampling {
            per_second: 0.001,
            ..SHOP
        };
        let sampler = RootSampler::new(slow, started.clone());
        let asked = parent(TraceFlags::SAMPLED, true);
        let kept = (0..100)
            .filter(|_| keeps(&sampler, Some(&asked), SpanKind::Server))
            .count();
        assert_eq!(kept, 1, "and not every one that was asked for");
        assert!(keeps(&sampler, None, SpanKind::Server));
        assert_eq!((started.kept(), started.dropped()), (2, 99));
        let not = parent(TraceFlags::NOT_SAMPLED, true);
        assert!(!keeps(&sampler, Some(&not), SpanKind::Server));
    }

    #[test]
    fn housekeeping_begins_no_trace_and_is_not_counted() {
        let started = Started::default();
        let sampler = RootSampler::new(SHOP, started.clone());
        assert!(!keeps(&sampler, None, SpanKind::Client));
        assert!(keeps(&sampler, None, SpanKind::Internal));
        assert_eq!((started.kept(), started.dropped()), (1, 0));
    }

    #[test]
    fn without_a_limit_the_ratio_alone_decides() {
        let no_limit = Sampling {
            per_second: 0.0,
            ..SHOP
        };
        let sampler = RootSampler::new(no_limit, Started::default());
        assert!((0..1000).all(|_| keeps(&sampler, None, SpanKind::Server)));
    }

    #[test]
    fn without_a_limit_strangers_still_have_theirs() {
        let no_limit = Sampling {
            per_second: 0.0,
            ratio: 0.01,
            ..SHOP
        };
        let sampler = RootSampler::new(no_limit, Started::default());
        let asked = parent(TraceFlags::SAMPLED, true);
        let begun = std::time::Instant::now();
        let kept = (0..2000)
            .filter(|_| keeps(&sampler, Some(&asked), SpanKind::Server))
            .count();
        let most = Sampling::PER_SECOND * (1.0 + begun.elapsed().as_secs_f64());
        assert!(kept >= 10 && kept as f64 <= most.ceil(), "{kept}");
    }

    #[test]
    fn where_nothing_is_kept_strangers_are_refused_and_no_limit_is_shown() {
        let started = Started::default();
        let off = RootSampler::new(SHOP.off(), started.clone());
        let asked = parent(TraceFlags::SAMPLED, true);
        assert!((0..1000).all(|_| !keeps(&off, None, SpanKind::Server)));
        assert!((0..1000).all(|_| !keeps(&off, Some(&asked), SpanKind::Server)));
        assert_eq!((started.kept(), started.dropped()), (0, 2000));
        assert_eq!(started.per_second(), None);

        // Behind the door the trace is its caller's, who may keep it where we cannot.
        let inside = Sampling {
            at_the_door: false,
            ..SHOP.off()
        };
        let inside = RootSampler::new(inside, Started::default());
        assert!(keeps(&inside, Some(&asked), SpanKind::Server));
    }
}
