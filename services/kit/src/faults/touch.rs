//! What one fault does to one request. Pure: the time is passed in and the draws are seeded.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Exp1, StandardNormal};
use shop_contract::faults::{Distribution, FaultEffect, FaultOrder};
use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::doer::Hits;
use super::only::{Asked, Filter, seed_of};

/// A fault of requests.
pub(super) struct RequestFault {
    share: f64,
    seed: u64,
    effect: FaultEffect,
    filter: Filter,
    ends: Instant,
    over: CancellationToken,
    /// Requests that it might have touched.
    met: AtomicU64,
    hits: Hits,
}

/// What is to be done to a request. It is a hit once it is done.
pub(crate) struct Touch {
    pub(crate) does: Does,
    /// For what is left to chance.
    pub(crate) draws: ChaCha8Rng,
    kind: &'static str,
    hits: Hits,
    over: CancellationToken,
}

/// [`FaultEffect`], as far as it is of requests, with what had to be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    /// Wait before anything else.
    Wait(Duration),
    /// Answer so, and nothing else.
    Error(u16),
    /// Reset the connection.
    Abort,
    /// Do not answer.
    Hang,
    /// Be refused the connection.
    Refuse,
    /// Let the body come so slowly, in bytes a second.
    SlowBody(u64),
    /// Break off in the middle of the body.
    Truncate,
    /// Change bytes of the body.
    Corrupt,
}

impl RequestFault {
    pub(super) fn new(order: &FaultOrder, ends: Instant, hits: Hits) -> Self {
        Self {
            share: order.share,
            seed: order.seed,
            effect: order.effect.clone(),
            filter: Filter::new(&order.only, seed_of(&order.name)),
            ends,
            over: CancellationToken::new(),
            met: AtomicU64::new(0),
            hits,
        }
    }

    /// What it does to a request that comes at `now`. Each request that it may touch has draws of its own, so neither
    /// other faults nor how much was drawn for the requests before decide about it.
    pub(super) fn touch(&self, now: Instant, asked: &Asked<'_>) -> Option<Touch> {
        if now >= self.ends || !self.filter.admits(asked) {
            return None;
        }
        let mut draws = ChaCha8Rng::seed_from_u64(self.seed);
        draws.set_stream(self.met.fetch_add(1, Ordering::Relaxed));
        if draws.random::<f64>() >= self.share {
            return None;
        }
        Some(Touch {
            does: self.does(&mut draws)?,
            draws,
            kind: self.effect.kind(),
            hits: self.hits.clone(),
            over: self.over.clone(),
        })
    }

    /// Lets go of whoever is still held by it.
    pub(super) fn end(&self) {
        self.over.cancel();
    }

    fn does(&self, draws: &mut ChaCha8Rng) -> Option<Does> {
        Some(match self.effect {
            FaultEffect::Latency {
                delay_us,
                jitter_us,
                distribution,
            } => Does::Wait(delay(draws, delay_us, jitter_us, distribution)),
            FaultEffect::Error { status } => Does::Error(status),
            FaultEffect::Abort => Does::Abort,
            FaultEffect::Hang => Does::Hang,
            FaultEffect::Refuse => Does::Refuse,
            FaultEffect::SlowBody { bytes_per_s } => Does::SlowBody(bytes_per_s),
            FaultEffect::Truncate => Does::Truncate,
            FaultEffect::Corrupt => Does::Corrupt,
            _ => return None,
        })
    }
}

/// A delay of a [`Distribution`].
fn delay(draws: &mut ChaCha8Rng, delay_us: u64, jitter_us: u64, of: Distribution) -> Duration {
    let spread: f64 = match of {
        Distribution::Uniform => draws.random_range(-1.0..=1.0),
        Distribution::Normal => draws.sample(StandardNormal),
        Distribution::Exponential => draws.sample(Exp1),
    };
    let us = delay_us as f64 + jitter_us as f64 * spread;
    Duration::from_micros(us.max(0.0) as u64)
}

impl Touch {
    /// The fault's name.
    pub(crate) fn fault(&self) -> &str {
        self.hits.fault()
    }

    /// It is being done.
    pub(crate) fn hit(&self) {
        self.hits.add();
    }

    /// A span for what is being done.
    pub(crate) fn span(&self) -> Span {
        tracing::info_span!(
            "fault",
            otel.name = format!("injected {}", self.kind),
            shop.fault = self.fault(),
        )
    }

    /// Cancelled when the fault is over.
    pub(crate) fn over(&self) -> CancellationToken {
        self.over.clone()
    }
}

#[cfg(test)]
mod tests;
