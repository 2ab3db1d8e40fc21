//! Balancing: which endpoint a request goes to.
//!
//! Two endpoints are drawn at random and the cheaper one taken ("the power of two choices", Mitzenmacher 2001). It
//! comes close to always taking the cheapest, and unlike that it does not send all callers to the same endpoint at
//! the same instant. The cost is Finagle's peak EWMA: latency, rising at once with a slow answer and sinking slowly
//! with quick ones, times the requests under way.
//!
//! A replica that fails at once looks fast and idle, and by these two alone would attract nearly all requests. So
//! failures cost. Their *share* counts and not the last one, for with a stray failure now and then on all replicas
//! the load would otherwise jump between them.

use std::time::Duration;

use crate::moment::Moment;

/// How an endpoint's cost is reckoned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BalanceConfig {
    /// What was seen counts 1/e after this, 10 s as in Finagle and linkerd: an idle endpoint's cost sinks towards
    /// zero, so each is tried again in the end.
    pub decay: Duration,
    /// What failing always costs, in multiples of the dearer one's cost, 10. So an endpoint that fails in more than a
    /// tenth of its requests gets none while it is compared with one that does not fail, however busy that one is; a
    /// retry and a token of the budget cost more than waiting does.
    pub failure_weight: f64,
    /// The share of failures is taken over about so many results, 50, or over `decay` when that is shorter. With more
    /// a busy endpoint would have to fail for seconds until it showed; with fewer a stray failure would weigh much.
    pub results: f64,
    /// Successes taken for granted in that share, 5: as many as it takes failures in a row for the breaker to act.
    /// Without them the first request of a new endpoint would settle its fate.
    pub benefit_of_doubt: f64,
    /// No endpoint is held to be quicker than this, 100 µs: else requests under way would count for nothing, times
    /// zero, on endpoints that have no latency yet.
    pub least_latency: Duration,
    /// Without it any endpoint is taken, whatever it costs: the balancing of DNS and of many a load balancer.
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

/// The endpoints of one service, as one caller sees them, known by their index.
///
/// An index out of range is never picked and its reports are ignored: the list of addresses may have shrunk while
/// the request was under way.
#[derive(Debug, Clone)]
pub struct Balancer {
    config: BalanceConfig,
    endpoints: Vec<Endpoint>,
}

/// What is remembered of an endpoint. All but the requests under way is as of `updated` and decays from there.
#[derive(Debug, Clone, Copy, Default)]
struct Endpoint {
    in_flight: u32,
    updated: Moment,
    latency_s: f64,
    successes: f64,
    failures: f64,
}

impl Balancer {
    /// So many endpoints, nothing known of them.
    pub fn new(config: BalanceConfig, endpoints: usize) -> Self {
        Self {
            config,
            endpoints: vec![Endpoint::default(); endpoints],
        }
    }

    /// Picks one of the candidates, not an excluded one if there is any other. `None` only without candidates.
    ///
    /// `candidates` are those whose breakers let requests pass; `exclude` those that this call has tried already, so
    /// that a retry goes elsewhere when there is an elsewhere. `draws` are two random draws from 0 up to 1.
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

    /// A request has been sent to the endpoint. Report its end with [`Self::finished`] or [`Self::abandoned`].
    pub fn started(&mut self, endpoint: usize) {
        if let Some(e) = self.endpoints.get_mut(endpoint) {
            e.in_flight += 1;
        }
    }

    /// A request has ended `latency` after it was sent; `ok` is what [`crate::Outcome::is_penalised`] denies.
    pub fn finished(&mut self, endpoint: usize, now: Moment, latency: Duration, ok: bool) {
        let BalanceConfig { decay, results, .. } = self.config;
        let Some(e) = self.endpoints.get_mut(endpoint) else {
            return;
        };
        e.in_flight = e.in_flight.saturating_sub(1);
        let seen = latency.as_secs_f64();
        let kept = weight(now.since(e.updated), decay);
        // The peak: a slower answer counts in full, a quicker one by the time since the last. How quickly it fails
        // lowers the latency too, but is no merit, as failures are priced by the other one's load.
        e.latency_s = seen.max(e.latency_s * kept + seen * (1.0 - kept));
        let kept = kept * (1.0 - 1.0 / results.max(1.0));
        e.successes = e.successes * kept + f64::from(u8::from(ok));
        e.failures = e.failures * kept + f64::from(u8::from(!ok));
        e.updated = e.updated.max(now);
    }

    /// A request was cancelled and tells nothing.
    pub fn abandoned(&mut self, endpoint: usize) {
        if let Some(e) = self.endpoints.get_mut(endpoint) {
            e.in_flight = e.in_flight.saturating_sub(1);
        }
    }

    /// A request was given up after so long because another endpoint was quicker. How it would have ended nobody knows,
    /// but it took at least that long; were that left out, an endpoint that hangs would never look slow to a caller
    /// that hedges. Besides [`Self::abandoned`], which it does not stand for.
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

    /// Forgets an endpoint's failures. To be called when its breaker closes: the probe's success says more about the
    /// present than the failures that opened it.
    pub fn forgive(&mut self, endpoint: usize) {
        if let Some(e) = self.endpoints.get_mut(endpoint) {
            e.failures = 0.0;
        }
    }

    /// Requests under way to the endpoint.
    pub fn in_flight(&self, endpoint: usize) -> u32 {
        self.endpoints.get(endpoint).map_or(0, |e| e.in_flight)
    }

    /// Takes a closure because the candidates are walked through several times: cheaper than a list per request.
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
        // Drawn from the others, so that the two are never the same one.
        let second = index(draws.1, count - 1);
        let Some(b) = among().nth(second + usize::from(second >= first)) else {
            return Some(a);
        };
        Some(if self.is_cheaper(now, b, a) { b } else { a })
    }

    /// Whether `a` costs less than `b`.
    ///
    /// Failures are priced by the dearer one's cost. By its own cost, an endpoint that fails at once would be cheap
    /// for being quick and idle, however high the factor; any fixed price is too low beside some busy endpoint.
    fn is_cheaper(&self, now: Moment, a: usize, b: usize) -> bool {
        let (a, b) = (&self.endpoints[a], &self.endpoints[b]);
        let (load_a, load_b) = (self.load(a, now), self.load(b, now));
        let price = self.config.failure_weight * load_a.max(load_b);
        load_a + price * self.failing_share(a, now) < load_b + price * self.failing_share(b, now)
    }

    /// How long a request would take, in seconds, if the endpoint worked on one after the other.
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

/// What remains of a memory after a time.
fn weight(age: Duration, decay: Duration) -> f64 {
    if decay.is_zero() {
        return 0.0;
    }
    (-age.as_secs_f64() / decay.as_secs_f64()).exp()
}

/// A draw from 0 up to 1 as an index below `count`. The cast sends NaN and negative draws to 0.
fn index(draw: f64, count: usize) -> usize {
    ((draw * count as f64) as usize).min(count.saturating_sub(1))
}
