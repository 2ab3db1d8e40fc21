//! What one fault does to one request. Pure: the time is passed in and the draws are seeded.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Exp1, StandardNormal};
use shop_contract::faults::{Distribution, FaultEffect, FaultOrder};
use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::filter::{Filter, RequestInfo, seed_of};
use super::hits::FaultHits;

/// An active fault of requests.
pub(super) struct RequestFault {
    share: f64,
    seed: u64,
    effect: FaultEffect,
    filter: Filter,
    ends: Instant,
    ended: CancellationToken,
    /// The requests that matched the filter so far.
    matched: AtomicU64,
    hits: FaultHits,
}

/// What one fault does to one request. It counts as a hit only when it is applied.
pub(crate) struct Injection {
    pub(crate) action: FaultAction,
    /// For the random part of applying it.
    pub(crate) rng: ChaCha8Rng,
    kind: &'static str,
    hits: FaultHits,
    ended: CancellationToken,
}

/// The request faults of [`FaultEffect`], with what had to be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultAction {
    /// Wait before anything else.
    Delay(Duration),
    /// Respond with this status and do not serve or send the request.
    Error(u16),
    /// Reset the connection.
    Abort,
    /// Do not respond until the fault ends.
    Hang,
    /// Fail to connect, as if the connection were refused.
    Refuse,
    /// Deliver the body at this rate, in bytes a second.
    SlowBody(u64),
    /// Break off in the middle of the body.
    Truncate,
    /// Change bytes of the body.
    Corrupt,
}

impl RequestFault {
    pub(super) fn new(order: &FaultOrder, ends: Instant, hits: FaultHits) -> Self {
        Self {
            share: order.share,
            seed: order.seed,
            effect: order.effect.clone(),
            filter: Filter::new(&order.only, seed_of(&order.name)),
            ends,
            ended: CancellationToken::new(),
            matched: AtomicU64::new(0),
            hits,
        }
    }

    /// What it does to a request that comes at `now`. Each matching request has a random stream of its own, so the result
    /// depends neither on other faults nor on how much was drawn for earlier requests.
    pub(super) fn inject(&self, now: Instant, request: &RequestInfo<'_>) -> Option<Injection> {
        if now >= self.ends || !self.filter.matches(request) {
            return None;
        }
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(self.matched.fetch_add(1, Ordering::Relaxed));
        if rng.random::<f64>() >= self.share {
            return None;
        }
        Some(Injection {
            action: self.action(&mut rng)?,
            rng,
            kind: self.effect.kind(),
            hits: self.hits.clone(),
            ended: self.ended.clone(),
        })
    }

    /// Releases the requests that it still holds.
    pub(super) fn end(&self) {
        self.ended.cancel();
    }

    fn action(&self, rng: &mut ChaCha8Rng) -> Option<FaultAction> {
        Some(match self.effect {
            FaultEffect::Latency {
                delay_us,
                jitter_us,
                distribution,
            } => FaultAction::Delay(delay(rng, delay_us, jitter_us, distribution)),
            FaultEffect::Error { status } => FaultAction::Error(status),
            FaultEffect::Abort => FaultAction::Abort,
            FaultEffect::Hang => FaultAction::Hang,
            FaultEffect::Refuse => FaultAction::Refuse,
            FaultEffect::SlowBody { bytes_per_s } => FaultAction::SlowBody(bytes_per_s),
            FaultEffect::Truncate => FaultAction::Truncate,
            FaultEffect::Corrupt => FaultAction::Corrupt,
            _ => return None,
        })
    }
}

/// Draws a delay of a [`Distribution`].
fn delay(rng: &mut ChaCha8Rng, delay_us: u64, jitter_us: u64, of: Distribution) -> Duration {
    let spread: f64 = match of {
        Distribution::Uniform => rng.random_range(-1.0..=1.0),
        Distribution::Normal => rng.sample(StandardNormal),
        Distribution::Exponential => rng.sample(Exp1),
    };
    let us = delay_us as f64 + jitter_us as f64 * spread;
    Duration::from_micros(us.max(0.0) as u64)
}

impl Injection {
    /// The fault's name.
    pub(crate) fn fault(&self) -> &str {
        self.hits.fault()
    }

    /// Counts a hit, as it is being applied.
    pub(crate) fn hit(&self) {
        self.hits.add();
    }

    /// The span of its application.
    pub(crate) fn span(&self) -> Span {
        tracing::info_span!(
            "fault",
            otel.name = format!("injected {}", self.kind),
            shop.fault = self.fault(),
        )
    }

    /// Cancelled when the fault ends.
    pub(crate) fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }
}

#[cfg(test)]
mod tests;
