//! How often one client may ask.
//!
//! This keeps one client from taking the shop away from the others. It is not what protects the services from more
//! work than they can do, whoever sends it: that is the limit of the server stack.
//!
//! Each client has a bucket of its own, as GCRA keeps it: one instant per client, no timer. The clock is passed in.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

use crate::config::{Allowance, Limits};

/// Who is asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Client {
    /// The subject of a token that was checked. An unchecked one could be anybody's.
    Subject(String),
    /// Whoever is at this address.
    Address(IpAddr),
}

impl Client {
    /// The client at an address. An IPv6 host has a /64 of addresses to choose from, so the /64 is the client; an
    /// IPv4 address stays the same one when it comes in by an IPv6 socket.
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
    /// The same by another clock.
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

    /// Forgets clients whose buckets are full again; to a bucket, that is the same as never to have been seen.
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
