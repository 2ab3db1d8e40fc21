//! Decides which traces are sampled: once, where a trace begins. Every service after that follows the decision.
//!
//! A sampled trace is therefore complete, with its errors and its slow steps. New traces are sampled at a bounded rate
//! ([`TokenBucket`]), so telemetry costs the same in a rush as on a quiet day; a ratio, applied first, reduces them further.
//!
//! A caller that sends a `traceparent` has decided already. Inside of the shop the decision is final. At the gateway (the edge)
//! it is a request: a second bucket, independent of the ratio, limits the traces that external callers ask for. It is as large
//! as the first one, or of the default size if the first one has no limit. So a developer with `curl` gets a trace however
//! busy the shop is, and a caller that sends the header with every request at most doubles the traces. A caller that asks not
//! to be sampled is not sampled. With a ratio of 0 nothing is sampled.
//!
//! A database statement or an outbound call without a parent is background work, such as polling an empty queue. It begins no
//! trace.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use metrics::{counter, gauge};
use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};
use parking_lot::Mutex;
use shop_resilience::TokenBucket;

use super::metrics::Metrics;
use super::names;
use crate::clock::Clock;

/// How many new traces are sampled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// The share of new traces that may be sampled, 0 to 1.
    pub ratio: f64,
    /// How many of those are sampled a second; 0 is no limit.
    pub per_second: f64,
    /// Whether callers are external, so that the traces they ask for are limited.
    pub at_edge: bool,
}

impl Sampling {
    /// The default of `per_second`: enough to see every route within seconds, and some hundred spans a second in all.
    pub const PER_SECOND: f64 = 10.0;

    /// The same with nothing sampled. A service that another service calls still follows its caller; external callers are
    /// refused.
    #[must_use]
    pub const fn off(self) -> Self {
        Self { ratio: 0.0, ..self }
    }

    /// Whether any trace that begins here can be sampled.
    fn is_on(self) -> bool {
        self.ratio > 0.0
    }
}

/// The counts of what a process's sampler has decided. Clones share them. Without a sampler they stay 0.
#[derive(Debug, Clone, Default)]
pub struct SamplerCounts(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    sampled: AtomicU64,
    dropped: AtomicU64,
    /// Unset if nothing is sampled.
    per_second: OnceLock<f64>,
}

impl SamplerCounts {
    /// Traces that began here and are sampled.
    pub fn sampled(&self) -> u64 {
        self.0.sampled.load(Ordering::Relaxed)
    }

    /// Traces that began here and are not sampled.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// The limit of sampled traces a second; 0 is no limit, `None` that nothing is sampled.
    pub fn per_second(&self) -> Option<f64> {
        self.0.per_second.get().copied()
    }

    /// Sets the metrics. Call it before they are rendered.
    pub(crate) fn update(&self, metrics: &Metrics) {
        metrics.record(|| {
            for (sampled, count) in [("true", self.sampled()), ("false", self.dropped())] {
                counter!(names::TRACES_STARTED, "sampled" => sampled).absolute(count);
            }
            // If nothing is sampled, 0 for "no limit" would be wrong.
            if let Some(limit) = self.per_second() {
                gauge!(names::TRACES_LIMIT).set(limit);
            }
        });
    }

    fn count(&self, sampled: bool) {
        let count = if sampled {
            &self.0.sampled
        } else {
            &self.0.dropped
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// The sampler of a process. Clones share its buckets.
#[derive(Clone)]
pub struct RootSampler(Arc<Inner>);

struct Inner {
    ratio: Sampler,
    at_edge: bool,
    clock: Clock,
    /// For traces that begin here. `None` is no limit.
    own: Option<Mutex<TokenBucket>>,
    /// For traces that external callers ask for. `None` samples none of them.
    requested: Option<Mutex<TokenBucket>>,
    counts: SamplerCounts,
}

impl RootSampler {
    /// A sampler that counts its decisions in `counts`.
    pub fn new(sampling: Sampling, counts: SamplerCounts) -> Self {
        let clock = Clock::start();
        let bucket = |rate| Mutex::new(TokenBucket::new(rate, clock.now()));
        let limit = Some(sampling.per_second).filter(|rate| *rate > 0.0);
        if sampling.is_on() {
            // A second sampler in one process (in tests) keeps the limit of the first.
            let _ = counts.0.per_second.set(sampling.per_second);
        }
        // No limit for own traces does not mean no limit for external callers.
        let requested = limit.unwrap_or(Sampling::PER_SECOND);
        Self(Arc::new(Inner {
            ratio: Sampler::TraceIdRatioBased(sampling.ratio),
            at_edge: sampling.at_edge,
            own: limit.map(bucket),
            requested: sampling.is_on().then(|| bucket(requested)),
            clock,
            counts,
        }))
    }

    fn has_token(&self, bucket: &Mutex<TokenBucket>) -> bool {
        bucket.lock().take(self.0.clock.now())
    }

    fn samples_new(&self, trace: TraceId, name: &str, kind: &SpanKind) -> bool {
        if *kind == SpanKind::Client {
            return false;
        }
        let chosen = self
            .0
            .ratio
            .should_sample(None, trace, name, kind, &[], &[]);
        let sampled = chosen.decision == SamplingDecision::RecordAndSample
            && self.0.own.as_ref().is_none_or(|b| self.has_token(b));
        self.0.counts.count(sampled);
        sampled
    }

    fn samples_requested(&self) -> bool {
        let bucket = self.0.requested.as_ref();
        let sampled = bucket.is_some_and(|b| self.has_token(b));
        self.0.counts.count(sampled);
        sampled
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
        let parent = parent.map(|cx| cx.span().span_context().clone());
        let parent = parent.filter(|span| span.is_valid());
        let sampled = match &parent {
            None => self.samples_new(trace, name, kind),
            Some(span) if span.is_sampled() && span.is_remote() && self.0.at_edge => {
                self.samples_requested()
            }
            Some(span) => span.is_sampled(),
        };
        SamplingResult {
            decision: match sampled {
                true => SamplingDecision::RecordAndSample,
                false => SamplingDecision::Drop,
            },
            attributes: Vec::new(),
            trace_state: parent.map_or_else(TraceState::default, |s| s.trace_state().clone()),
        }
    }
}

impl fmt::Debug for RootSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootSampler")
            .field("ratio", &self.0.ratio)
            .field("per_second", &self.0.counts.per_second())
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
        at_edge: true,
    };

    /// A parent of this trace, from another process or from this one.
    fn parent(flags: TraceFlags, is_remote: bool) -> Context {
        let (trace, span) = (TraceId::from(7u128), SpanId::from(7u64));
        let context = SpanContext::new(trace, span, flags, is_remote, TraceState::default());
        Context::new().with_remote_span_context(context)
    }

    fn samples(sampler: &RootSampler, parent: Option<&Context>, kind: SpanKind) -> bool {
        let trace = TraceId::from(u128::MAX / 3);
        let result = sampler.should_sample(parent, trace, "GET /", &kind, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
    }

    #[test]
    fn many_new_traces_are_sampled_at_the_rate_and_counted() {
        let counts = SamplerCounts::default();
        let sampler = RootSampler::new(SHOP, counts.clone());
        let start = std::time::Instant::now();
        let sampled = (0..2000)
            .filter(|_| samples(&sampler, None, SpanKind::Server))
            .count();
        let max = 10.0 * (1.0 + start.elapsed().as_secs_f64());
        assert!(sampled >= 10 && sampled as f64 <= max.ceil(), "{sampled}");
        assert_eq!(
            (counts.sampled(), counts.dropped()),
            (sampled as u64, 2000 - sampled as u64)
        );
        assert_eq!(counts.per_second(), Some(10.0));
    }

    #[test]
    fn the_callers_decision_is_followed_whatever_the_rate() {
        let sampler = RootSampler::new(SHOP, SamplerCounts::default());
        let (kept, not) = (
            parent(TraceFlags::SAMPLED, false),
            parent(TraceFlags::NOT_SAMPLED, false),
        );
        assert!((0..100).all(|_| samples(&sampler, Some(&kept), SpanKind::Client)));
        assert!((0..100).all(|_| !samples(&sampler, Some(&not), SpanKind::Server)));
        let inside = RootSampler::new(
            Sampling {
                at_edge: false,
                ..SHOP
            },
            SamplerCounts::default(),
        );
        let called = parent(TraceFlags::SAMPLED, true);
        assert!((0..100).all(|_| samples(&inside, Some(&called), SpanKind::Server)));
    }

    #[test]
    fn requested_traces_have_a_budget_of_their_own() {
        let counts = SamplerCounts::default();
        let slow = Sampling {
            per_second: 0.001,
            ..SHOP
        };
        let sampler = RootSampler::new(slow, counts.clone());
        let requested = parent(TraceFlags::SAMPLED, true);
        let sampled = (0..100)
            .filter(|_| samples(&sampler, Some(&requested), SpanKind::Server))
            .count();
        assert_eq!(sampled, 1, "not every requested trace");
        assert!(samples(&sampler, None, SpanKind::Server));
        assert_eq!((counts.sampled(), counts.dropped()), (2, 99));
        let not = parent(TraceFlags::NOT_SAMPLED, true);
        assert!(!samples(&sampler, Some(&not), SpanKind::Server));
    }

    #[test]
    fn background_work_begins_no_trace_and_is_not_counted() {
        let counts = SamplerCounts::default();
        let sampler = RootSampler::new(SHOP, counts.clone());
        assert!(!samples(&sampler, None, SpanKind::Client));
        assert!(samples(&sampler, None, SpanKind::Internal));
        assert_eq!((counts.sampled(), counts.dropped()), (1, 0));
    }

    #[test]
    fn without_a_limit_the_ratio_alone_decides() {
        let no_limit = Sampling {
            per_second: 0.0,
            ..SHOP
        };
        let sampler = RootSampler::new(no_limit, SamplerCounts::default());
        assert!((0..1000).all(|_| samples(&sampler, None, SpanKind::Server)));
    }

    #[test]
    fn without_a_limit_requested_traces_are_still_limited() {
        let no_limit = Sampling {
            per_second: 0.0,
            ratio: 0.01,
            ..SHOP
        };
        let sampler = RootSampler::new(no_limit, SamplerCounts::default());
        let requested = parent(TraceFlags::SAMPLED, true);
        let start = std::time::Instant::now();
        let sampled = (0..2000)
            .filter(|_| samples(&sampler, Some(&requested), SpanKind::Server))
            .count();
        let max = Sampling::PER_SECOND * (1.0 + start.elapsed().as_secs_f64());
        assert!(sampled >= 10 && sampled as f64 <= max.ceil(), "{sampled}");
    }

    #[test]
    fn with_sampling_off_requested_traces_are_refused_and_no_limit_is_shown() {
        let counts = SamplerCounts::default();
        let off = RootSampler::new(SHOP.off(), counts.clone());
        let requested = parent(TraceFlags::SAMPLED, true);
        assert!((0..1000).all(|_| !samples(&off, None, SpanKind::Server)));
        assert!((0..1000).all(|_| !samples(&off, Some(&requested), SpanKind::Server)));
        assert_eq!((counts.sampled(), counts.dropped()), (0, 2000));
        assert_eq!(counts.per_second(), None);

        // Inside of the shop the caller decides, also where nothing new is sampled.
        let inside = Sampling {
            at_edge: false,
            ..SHOP.off()
        };
        let inside = RootSampler::new(inside, SamplerCounts::default());
        assert!(samples(&inside, Some(&requested), SpanKind::Server));
    }
}
