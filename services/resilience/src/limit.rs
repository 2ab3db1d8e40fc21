//! Load shedding: how many requests a service takes in at once, and whom it refuses first.
//!
//! A queue that grows without bound makes every answer late and none useful. So the service holds a limit on the
//! requests it works on, and refuses beyond it at once, while the refusal is still cheap. No fixed limit is right for
//! every machine and every day, so it adapts by additive increase and multiplicative decrease.
//!
//! Why AIMD: it is the rule by which several parties that share a bottleneck without talking (replicas on one
//! database) come to an efficient and fair use of it (Chiu and Jain 1989), and it can be reasoned about. Gradient
//! rules (Netflix's Gradient2, Envoy) set the limit in proportion to minimum latency over latency. They answer a
//! dependency that became slow, which no limit of ours can cure, by cutting the limit to its minimum. Two further
//! rules keep this one from that mistake:
//!
//! - Latency lowers the limit only while the limit is felt: while requests under way reach what browsing may fill. By
//!   Little's law a slow bank raises what is under way too, but it takes a rush and a slow bank together to reach it.
//!   Together they do, and then the limit sinks to no avail until the bank is well or five to ten minutes have passed.
//! - Latencies are compared within a priority, never across: that there are more checkouts among the page views is no
//!   congestion.
//!
//! Who is refused first is fixed by shares of the limit, as in Google's criticality and WeChat's DAGOR (Zhou et al.
//! 2018).

mod baseline;

use std::time::Duration;

use crate::moment::Moment;
use baseline::Baseline;

/// How much a request matters. The order is that of importance, most important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// What gets the shop well again: health checks, and recovery of orders whose outcome is unknown.
    Critical,
    /// Somebody is paying: cart, order, payment, reservation.
    Buying,
    /// Somebody is looking.
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
    /// The limit at first, 64: more than a service of this shop needs on an idle machine, so nothing is refused before
    /// anything is known.
    pub initial: u32,
    /// It never sinks below this, 4: with less, one slow request would shut the service, and nothing could be learnt
    /// from the few that are let in.
    pub least: u32,
    /// It never rises above this, 1000: about what open files and memory bear.
    pub most: u32,
    /// Browsing may fill this share of the limit, 0.8.
    pub browsing_share: f64,
    /// Buying may fill this share of the limit, 0.95. The rest is for critical work.
    pub buying_share: f64,
    /// Congested it is from a latency of this many times its long-term minimum, 2: requests wait as long as they work.
    pub tolerance: f64,
    /// A minimum below this counts as this, 25 ms: a page that takes 20 ms instead of 2 has waited, and nobody has noticed.
    /// Without it a service that is merely busy refuses half of what it could have served.
    pub negligible: Duration,
    /// What the limit is multiplied by when congested, 0.9 as in Netflix's concurrency-limits: TCP's half is too
    /// coarse where each step refuses people.
    pub decrease: f64,
    /// The limit is adapted at most once per this, 100 ms: from 64 it sinks to 4 in 2.7 s and comes back in 6 s.
    pub interval: Duration,
    /// It is adapted by no fewer results than this, 10. When they are slow to come it waits for them, up to ten
    /// intervals: that nothing gets done any more is itself news.
    pub min_samples: u32,
    /// Congested it is also when this share of the results were [`Served::Overloaded`], 0.1: one of ten.
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

/// What was seen since the limit was last adapted.
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

/// A place among the requests being worked on, to be given back once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a permit that is dropped takes its place for ever; give it back with `release`"]
pub struct Permit {
    priority: Priority,
}

/// How a request that was taken in ended, as far as the limit cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// It was served: its latency tells how long work takes.
    Ok,
    /// Its time ran out while it waited for something of our own, such as a database connection: there was too much
    /// at once. A callee that took too long is not meant, as fewer requests would not make it quicker.
    Overloaded,
    /// It failed otherwise or was cancelled: its latency tells nothing.
    Discarded,
}

/// A refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shed {
    /// Why.
    pub reason: ShedReason,
    /// The limit at that moment.
    pub limit: u32,
    /// The requests being worked on at that moment.
    pub in_flight: u32,
}

/// Why a request was refused. The names are metric labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShedReason {
    /// There is no room for anybody.
    Full,
    /// There is room, kept for what matters more.
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
    /// A service that works on nothing yet. Bounds in the wrong order are put right: `least` is at least 1, `most` at
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

    /// Takes a request in.
    ///
    /// # Errors
    /// There is no room for that priority.
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

    /// Gives a place back, `latency` after it was taken, and adapts the limit when it is time to.
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

    /// How many requests may be worked on at once.
    pub fn limit(&self) -> u32 {
        // The cast rounds down, and `limit` is within the bounds of the config.
        self.limit as u32
    }

    /// How many requests are being worked on.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Up to how many requests under way, of all priorities, one of this priority is taken in.
    ///
    /// Browsing rounds down and buying up, so that a small limit still tells them apart, and each keeps one place.
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

    /// Whether the interval's requests took so many times their long-term minimum, on average.
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
