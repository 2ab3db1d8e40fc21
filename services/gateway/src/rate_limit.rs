//! Rate limits per client.
//!
//! They keep one client from using up the shop for the others. Overload by all clients together is the concern of the
//! server stack's limit.
//!
//! Each client has a bucket, kept as GCRA does: one instant per client, no timer. The clock is passed in.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

use crate::config::{Allowance, Limits};

/// The client that a request counts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Client {
    /// The subject of a token that was checked. The subject of an unchecked token could be anybody.
    Subject(String),
    /// All clients at this address.
    Address(IpAddr),
}

impl Client {
    /// The client at an address. An IPv6 host can choose among the addresses of its /64, so the /64 is the client. An
    /// IPv4 address is the same client when it comes in by an IPv6 socket.
    pub fn at(address: IpAddr) -> Self {
        const HOST_BITS: u128 = u64::MAX as u128;
        Self::Address(match address.to_canonical() {
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !HOST_BITS).into(),
            v4 => v4,
        })
    }
}

/// Refused: this client may ask again after `wait`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooSoon {
    /// From now on.
    pub wait: Duration,
}

type Buckets<K, C> =
    RateLimiter<K, DefaultKeyedStateStore<K>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// The buckets of all clients.
pub struct RateLimits<C: Clock = MonotonicClock> {
    subjects: Buckets<String, C>,
    addresses: Buckets<IpAddr, C>,
    clock: C,
}

impl RateLimits {
    /// Every client has a full bucket.
    pub fn new(limits: Limits) -> Self {
        Self::with_clock(limits, MonotonicClock)
    }
}

impl<C: Clock> RateLimits<C> {
    /// The same with another clock.
    pub fn with_clock(limits: Limits, clock: C) -> Self
    where
        C: Clone,
    {
        Self {
            subjects: RateLimiter::dashmap_with_clock(quota(limits.per_subject), clock.clone()),
            addresses: RateLimiter::dashmap_with_clock(quota(limits.per_address), clock.clone()),
            clock,
        }
    }

    /// Takes one request out of the client's bucket. A refused request takes nothing.
    ///
    /// # Errors
    /// The bucket is empty.
    pub fn admit(&self, client: &Client) -> Result<(), TooSoon> {
        let result = match client {
            Client::Subject(subject) => self.subjects.check_key(subject),
            Client::Address(address) => self.addresses.check_key(address),
        };
        result.map_err(|until| TooSoon {
            wait: until.wait_time_from(self.clock.now()),
        })
    }

    /// Forgets clients whose buckets are full again. A full bucket is the same as no bucket.
    pub fn forget_idle(&self) {
        self.subjects.retain_recent();
        self.subjects.shrink_to_fit();
        self.addresses.retain_recent();
        self.addresses.shrink_to_fit();
    }

    /// How many clients are remembered.
    pub fn remembered(&self) -> usize {
        self.subjects.len() + self.addresses.len()
    }
}

fn quota(allowance: Allowance) -> Quota {
    Quota::per_second(allowance.per_second).allow_burst(allowance.burst)
}
