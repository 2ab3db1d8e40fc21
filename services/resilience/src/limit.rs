//! Load shedding: how many requests a service accepts at once, and which it refuses first.
//!
//! A queue without a bound makes every answer late and none useful. So the service limits the requests in flight, and
//! refuses the rest at once, while that is still cheap. No fixed limit is right for every machine and every day, so it
//! adapts by additive increase and multiplicative decrease.
//!
//! Why AIMD: with this rule several parties that share a bottleneck without communicating (replicas on one database)
//! reach an efficient and fair use of it (Chiu and Jain 1989), and it can be reasoned about. Gradient rules (Netflix's
//! Gradient2, Envoy) set the limit in proportion to minimum latency over latency. When a dependency becomes slow, which
//! no limit can cure, they cut the limit to its minimum. Two further rules avoid that mistake:
//!
//! - Latency lowers the limit only while the limit has an effect: while requests in flight reach what browsing may
//!   fill. By Little's law a slow bank raises the requests in flight too, but it takes a rush and a slow bank together to
//!   reach it. Then the limit falls in vain, until the bank is quick again or five to ten minutes have passed.
//! - Latencies are compared within a priority, never across: more checkouts among the page views are no congestion.
//!
//! Shares of the limit decide which requests are refused first, as in Google's criticality and WeChat's DAGOR (Zhou et
//! al. 2018).

mod baseline;

use std::time::Duration;

use crate::moment::Moment;
use baseline::Baseline;

/// How important a request is. Most important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Health checks, recovery of orders whose outcome is unknown, and everything that finishes an order.
    Critical,
    /// A shopper is buying: cart, order, payment, reservation.
    Buying,
    /// A shopper is looking around.
    Browsing,
}

impl Priority {
    /// All of them, most important first.
    pub const ALL: [Self; 3] = [Self::Critical, Self::Buying, Self::Browsing];

    /// Its name as a metric label and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Buying => "buying",
            Self::Browsing => "browsing",
        }
    }

    /// The priority of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.as_str() == name)
    }
}

/// How the limit adapts, and how it is shared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LimitConfig {
    /// The initial limit, 64: more than a service of this shop needs on an idle machine, so nothing is refused before
    /// there are observations.
    pub initial: u32,
    /// The lowest limit, 4. With less, one slow request would block the service, and the few accepted requests would
    /// tell nothing.
    pub least: u32,
    /// The highest limit, 1000: about what open files and memory allow.
    pub most: u32,
    /// Browsing may fill this share of the limit, 0.8.
    pub browsing_share: f64,
    /// Buying may fill this share of the limit, 0.95. The rest is for critical work.
    pub buying_share: f64,
    /// Congestion begins at a latency of this many times its long-term minimum, 2: requests wait as long as they work.
    pub tolerance: f64,
    /// A minimum below this counts as this, 25 ms: nobody notices a page that takes 20 ms instead of 2. Without it a
    /// service that is merely busy refuses half of what it could have served.
    pub negligible: Duration,
    /// The factor of a decrease, 0.9 as in Netflix's concurrency-limits. TCP's half is too coarse where each step
    /// refuses requests.
    pub decrease: f64,
    /// The shortest time between two changes of the limit, 100 ms: it falls from 64 to 4 in 2.7 s and comes back in 6
    /// s.
    pub interval: Duration,
    /// The fewest results for a change, 10. It waits for them up to ten intervals; after that, having so few is itself
    /// a sign.
    pub min_samples: u32,
    /// Congestion is also this share of results that are [`Served::Overloaded`], 0.1: one of ten.
    pub overloaded_share: f64,
}

impl Default for LimitConfig {
    fn default() -> Self {
        Self {
            initial: 64,
            least: 4,
            most: 1000,
            browsing_share: 0.8,
            buying_share: 0.95,
            tolerance: 2.0,
            negligible: Duration::from_millis(25),
            decrease: 0.9,
            interval: Duration::from_millis(100),
            min_samples: 10,
            overloaded_share: 0.1,
        }
    }
}

/// The adaptive limit of one service.
#[derive(Debug, Clone)]
pub struct Limiter {
    config: LimitConfig,
    limit: f64,
    in_flight: u32,
    interval: Interval,
    baselines: [Baseline; Priority::ALL.len()],
}

/// Observations since the limit was last changed.
#[derive(Debug, Clone, Copy, Default)]
struct Interval {
    began: Option<Moment>,
    most_in_flight: u32,
    overloaded: u32,
    served: [Sum; Priority::ALL.len()],
}

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    count: u32,
    latency_s: f64,
}

/// The right to work on one request, to be given back once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a permit that is dropped takes its place for ever; give it back with `release`"]
pub struct Permit {
    priority: Priority,
}

/// How an accepted request ended, as far as the limit needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// It was served. Its latency shows how long work takes.
    Ok,
    /// It ran out of time waiting for a resource of this service, such as a database connection: there were too many
    /// requests at once. A slow callee does not count, as fewer requests would not make it quicker.
    Overloaded,
    /// It failed otherwise or was cancelled. Its latency shows nothing.
    Discarded,
}

/// A refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shed {
    /// The reason.
    pub reason: ShedReason,
    /// The limit at that moment.
    pub limit: u32,
    /// The requests in flight at that moment.
    pub in_flight: u32,
}

/// Why a request was refused. The names are metric labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShedReason {
    /// The limit is reached.
    Full,
    /// The rest of the limit is for more important requests.
    Reserved,
}

impl ShedReason {
    /// Both, so that a metric can declare its series beforehand.
    pub const ALL: [Self; 2] = [Self::Full, Self::Reserved];

    /// Its name as a metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Reserved => "reserved",
        }
    }
}

impl Limiter {
    /// A service without requests in flight. Bounds in the wrong order are corrected: `least` is at least 1, `most` at
    /// least `least`, and `initial` between them.
    pub fn new(mut config: LimitConfig) -> Self {
        config.least = config.least.max(1);
        config.most = config.most.max(config.least);
        Self {
            config,
            limit: f64::from(config.initial.clamp(config.least, config.most)),
            in_flight: 0,
            interval: Interval::default(),
            baselines: Default::default(),
        }
    }

    /// Accepts a request.
    ///
    /// # Errors
    /// There is no capacity for that priority.
    pub fn try_acquire(&mut self, priority: Priority) -> Result<Permit, Shed> {
        if self.in_flight >= self.capacity(priority) {
            let limit = self.limit();
            let full = self.in_flight >= limit;
            return Err(Shed {
                reason: if full {
                    ShedReason::Full
                } else {
                    ShedReason::Reserved
                },
                limit,
                in_flight: self.in_flight,
            });
        }
        self.in_flight += 1;
        self.interval.most_in_flight = self.interval.most_in_flight.max(self.in_flight);
        Ok(Permit { priority })
    }

    /// Ends a request, `latency` after it was accepted, and adapts the limit when it is time to.
    pub fn release(&mut self, permit: Permit, now: Moment, latency: Duration, served: Served) {
        self.in_flight = self.in_flight.saturating_sub(1);
        match served {
            Served::Ok => {
                let sum = &mut self.interval.served[permit.priority as usize];
                sum.count += 1;
                sum.latency_s += latency.as_secs_f64();
            }
            Served::Overloaded => self.interval.overloaded += 1,
            Served::Discarded => {}
        }
        let passed = now.since(*self.interval.began.get_or_insert(now));
        let samples = self.interval.samples();
        let enough = samples >= self.config.min_samples && passed >= self.config.interval;
        let long = samples > 0 && passed >= self.config.interval.saturating_mul(10);
        if enough || long {
            self.adapt(now);
        }
    }

    /// How many requests may be in flight.
    pub fn limit(&self) -> u32 {
        // The cast rounds down, and `limit` is within the bounds of the config.
        self.limit as u32
    }

    /// How many requests are in flight.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// A request of this priority is accepted up to this many requests in flight, of all priorities.
    ///
    /// Browsing rounds down and buying up, so that a small limit still has different bounds for them, and each keeps
    /// one.
    fn capacity(&self, priority: Priority) -> u32 {
        let limit = self.limit();
        let share = |share: f64| f64::from(limit) * share;
        let browsing = (share(self.config.browsing_share) as u32).clamp(1, limit);
        match priority {
            Priority::Critical => limit,
            Priority::Buying => {
                (share(self.config.buying_share).ceil() as u32).clamp(browsing, limit)
            }
            Priority::Browsing => browsing,
        }
    }

    fn adapt(&mut self, now: Moment) {
        let interval = std::mem::take(&mut self.interval);
        self.interval.began = Some(now);
        self.interval.most_in_flight = self.in_flight;
        let felt = interval.most_in_flight >= self.capacity(Priority::Browsing);
        // TCP does not widen a window that it does not use (RFC 7661): nothing is known about a limit out of reach.
        let used = interval.most_in_flight >= self.limit() / 2;
        let congested = self.is_congested(&interval, now);
        let overloaded = f64::from(interval.overloaded)
            >= self.config.overloaded_share * f64::from(interval.samples());
        if overloaded || felt && congested {
            self.limit *= self.config.decrease;
        } else if used && !congested {
            self.limit += 1.0;
        }
        let (least, most) = (f64::from(self.config.least), f64::from(self.config.most));
        self.limit = self.limit.clamp(least, most);
    }

    /// Whether the interval's requests took `tolerance` times their long-term minimum, on average.
    fn is_congested(&mut self, interval: &Interval, now: Moment) -> bool {
        let (mut requests, mut slowness) = (0.0, 0.0);
        for (sum, baseline) in interval.served.iter().zip(&mut self.baselines) {
            if sum.count > 0 {
                let count = f64::from(sum.count);
                requests += count;
                let usual = baseline.update(now, sum.latency_s / count, count);
                slowness += sum.latency_s / usual.max(self.config.negligible.as_secs_f64());
            }
        }
        slowness > self.config.tolerance * requests
    }
}

impl Interval {
    fn samples(&self) -> u32 {
        self.overloaded + self.served.iter().map(|s| s.count).sum::<u32>()
    }
}
