//! Balancing: which endpoint a request goes to.
//!
//! Two endpoints are drawn at random and the cheaper one is taken ("the power of two choices", Mitzenmacher 2001). That
//! comes close to always taking the cheapest, and does not send all callers to the same endpoint at once. The cost is
//! Finagle's peak EWMA: latency, which rises at once with a slow answer and falls slowly with quick ones, times the
//! requests in flight.
//!
//! A replica that fails at once looks fast and idle, and would attract nearly all requests. So failures cost too. The
//! cost counts their *share*, not the last one: otherwise occasional failures on all replicas would make the load jump
//! between them.

use std::time::Duration;

use crate::moment::Moment;

/// How the cost of an endpoint is calculated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BalanceConfig {
    /// Observations decay to 1/e in this time, 10 s as in Finagle and linkerd. The cost of an idle endpoint falls
    /// towards zero, so every endpoint is eventually tried again.
    pub decay: Duration,
    /// The cost of constant failure, in multiples of the other endpoint's cost, 10. An endpoint that fails more than a
    /// tenth of its requests gets none while it is compared with one that never fails, however busy that one is. A
    /// retry and a budget token cost more than waiting.
    pub failure_weight: f64,
    /// The share of failures is taken over about this many results, 50, or over `decay` when that is shorter. With
    /// more, a busy endpoint would fail for seconds before it showed; with fewer, a single failure would weigh too
    /// much.
    pub results: f64,
    /// Assumed successes in that share, 5: as many as the failures in a row that open a breaker. Without them the first
    /// request of a new endpoint would decide alone.
    pub benefit_of_doubt: f64,
    /// No endpoint counts as quicker than this, 100 µs. Otherwise requests in flight would be multiplied by zero on
    /// endpoints without a latency yet.
    pub least_latency: Duration,
    /// Off: any endpoint is taken, whatever its cost, as with DNS and many load balancers.
    pub by_cost: bool,
}

impl Default for BalanceConfig {
    fn default() -> Self {
        Self {
            decay: Duration::from_secs(10),
            failure_weight: 10.0,
            results: 50.0,
            benefit_of_doubt: 5.0,
            least_latency: Duration::from_micros(100),
            by_cost: true,
        }
    }
}

/// The endpoints of one service as one caller sees them, known by their index.
///
/// An index out of range is never picked, and its reports are ignored: the list of addresses may have become shorter
/// while the request was in flight.
#[derive(Debug, Clone)]
pub struct Balancer {
    config: BalanceConfig,
    endpoints: Vec<Endpoint>,
}

/// The state of an endpoint. Everything but the requests in flight is as of `updated` and decays from there.
#[derive(Debug, Clone, Copy, Default)]
struct Endpoint {
    in_flight: u32,
    updated: Moment,
    latency_s: f64,
    successes: f64,
    failures: f64,
}

impl Balancer {
    /// This many endpoints, without observations.
    pub fn new(config: BalanceConfig, endpoints: usize) -> Self {
        Self {
            config,
            endpoints: vec![Endpoint::default(); endpoints],
        }
    }

    /// Picks one of the candidates, and an excluded one only if there is no other. `None`: there are no candidates.
    ///
    /// `candidates` are the endpoints whose breakers let requests pass. `exclude` are those that this call has tried,
    /// so that a retry goes elsewhere where possible. `draws` are two random draws from 0 up to 1.
    pub fn pick(
        &self,
        now: Moment,
        draws: (f64, f64),
        candidates: &[usize],
        exclude: &[usize],
    ) -> Option<usize> {
        let known = |i: &usize| *i < self.endpoints.len();
        let fresh = |i: &usize| known(i) && !exclude.contains(i);
        if candidates.iter().any(fresh) {
            self.cheaper_of_two(now, draws, || candidates.iter().copied().filter(fresh))
        } else {
            self.cheaper_of_two(now, draws, || candidates.iter().copied().filter(known))
        }
    }

    /// A request was sent to the endpoint. Report its end with [`Self::finished`] or [`Self::abandoned`].
    pub fn started(&mut self, endpoint: usize) {
        if let Some(e) = self.endpoints.get_mut(endpoint) {
            e.in_flight += 1;
        }
    }

    /// A request ended `latency` after it was sent; `ok` is the negation of [`crate::Outcome::is_penalised`].
    pub fn finished(&mut self, endpoint: usize, now: Moment, latency: Duration, ok: bool) {
        let BalanceConfig { decay, results, .. } = self.config;
        let Some(e) = self.endpoints.get_mut(endpoint) else {
            return;
        };
        e.in_flight = e.in_flight.saturating_sub(1);
        let seen = latency.as_secs_f64();
        let kept = weight(now.since(e.updated), decay);
        // The peak: a slower answer counts in full, a quicker one in proportion to the time since the last. A quick
        // failure lowers the latency too, but gains nothing, as failures are priced by the other endpoint's load.
        e.latency_s = seen.max(e.latency_s * kept + seen * (1.0 - kept));
        let kept = kept * (1.0 - 1.0 / results.max(1.0));
        e.successes = e.successes * kept + f64::from(u8::from(ok));
        e.failures = e.failures * kept + f64::from(u8::from(!ok));
        e.updated = e.updated.max(now);
    }

    /// A request was cancelled. It tells nothing about the endpoint.
    pub fn abandoned(&mut self, endpoint: usize) {
        if let Some(e) = self.endpoints.get_mut(endpoint) {
            e.in_flight = e.in_flight.saturating_sub(1);
        }
    }

    /// A request was given up after this time because another endpoint was quicker. It took at least that long. Without
    /// this report, an endpoint that hangs would never look slow to a caller that hedges. Report [`Self::abandoned`] as
    /// well.
    pub fn outlasted(&mut self, endpoint: usize, now: Moment, at_least: Duration) {
        let decay = self.config.decay;
        if let Some(e) = self.endpoints.get_mut(endpoint) {
            let kept = weight(now.since(e.updated), decay);
            e.latency_s = at_least.as_secs_f64().max(e.latency_s * kept);
            e.successes *= kept;
            e.failures *= kept;
            e.updated = e.updated.max(now);
        }
    }

    /// Forgets an endpoint's failures. Call it when its breaker closes: the probe's success says more about the present
    /// than the failures that opened it.
    pub fn forgive(&mut self, endpoint: usize) {
        if let Some(e) = self.endpoints.get_mut(endpoint) {
            e.failures = 0.0;
        }
    }

    /// Requests in flight to the endpoint.
    pub fn in_flight(&self, endpoint: usize) -> u32 {
        self.endpoints.get(endpoint).map_or(0, |e| e.in_flight)
    }

    /// Takes a closure because it walks through the candidates several times: cheaper than a list per request.
    fn cheaper_of_two<I>(
        &self,
        now: Moment,
        draws: (f64, f64),
        among: impl Fn() -> I,
    ) -> Option<usize>
    where
        I: Iterator<Item = usize>,
    {
        let count = among().count();
        let first = index(draws.0, count);
        let a = among().nth(first)?;
        if !self.config.by_cost {
            return Some(a);
        }
        // Drawn from the others, so that the two differ.
        let second = index(draws.1, count - 1);
        let Some(b) = among().nth(second + usize::from(second >= first)) else {
            return Some(a);
        };
        Some(if self.is_cheaper(now, b, a) { b } else { a })
    }

    /// Whether `a` costs less than `b`.
    ///
    /// Failures are priced by the higher of both costs. By its own cost, an endpoint that fails at once would be cheap,
    /// being quick and idle, however high the factor. Any fixed price is too low beside some busy endpoint.
    fn is_cheaper(&self, now: Moment, a: usize, b: usize) -> bool {
        let (a, b) = (&self.endpoints[a], &self.endpoints[b]);
        let (load_a, load_b) = (self.load(a, now), self.load(b, now));
        let price = self.config.failure_weight * load_a.max(load_b);
        load_a + price * self.failing_share(a, now) < load_b + price * self.failing_share(b, now)
    }

    /// The expected time of a request in seconds, if the endpoint worked on one after the other.
    fn load(&self, e: &Endpoint, now: Moment) -> f64 {
        let latency = e.latency_s * weight(now.since(e.updated), self.config.decay);
        let least = self.config.least_latency.as_secs_f64();
        latency.max(least) * (f64::from(e.in_flight) + 1.0)
    }

    fn failing_share(&self, e: &Endpoint, now: Moment) -> f64 {
        let kept = weight(now.since(e.updated), self.config.decay);
        let failures = e.failures * kept;
        let all = failures + e.successes * kept + self.config.benefit_of_doubt;
        if all > 0.0 { failures / all } else { 0.0 }
    }
}

/// What remains of an observation after a time.
fn weight(age: Duration, decay: Duration) -> f64 {
    if decay.is_zero() {
        return 0.0;
    }
    (-age.as_secs_f64() / decay.as_secs_f64()).exp()
}

/// A draw from 0 up to 1 as an index below `count`. The cast turns NaN and negative draws into 0.
fn index(draw: f64, count: usize) -> usize {
    ((draw * count as f64) as usize).min(count.saturating_sub(1))
}
