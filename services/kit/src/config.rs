//! What a service is told at its start. Parsed once, at the edge, by the command; nothing reads the environment later.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use shop_contract::Role;

use crate::telemetry::sampler::SamplerCounts;

/// Settings of one service process.
#[derive(Debug, Clone)]
pub struct ServiceConfig {
    /// What it is.
    pub role: Role,
    /// Which of its role, from 0.
    pub replica: u32,
    /// Where it serves the shop.
    pub listen: SocketAddr,
    /// Where it serves its operators: metrics, health, faults, audit.
    pub admin: SocketAddr,
    /// When set, the admin listener asks for it as a bearer token.
    pub admin_token: Option<String>,
    /// Its own database.
    pub database_url: String,
    /// Addresses (`host:port`) of every role it may call, a list of replicas each.
    pub peers: BTreeMap<Role, Vec<String>>,
    /// The services' shared key.
    pub service_key: String,
    /// How events reach their subscribers.
    pub events: Events,
    /// Which resilience patterns are on.
    pub resilience: Switches,
    /// The seed of everything random. The same seed gives the same shop.
    pub seed: u64,
    /// What the process's sampler decides, for the service to show among its figures.
    pub traces: SamplerCounts,
}

impl ServiceConfig {
    /// `order/1`: how scenarios, metrics and logs call it.
    pub fn target(&self) -> String {
        format!("{}/{}", self.role, self.replica)
    }

    /// `order-1`: `service.instance.id`.
    pub fn instance_id(&self) -> String {
        format!("{}-{}", self.role, self.replica)
    }
}

/// How events reach their subscribers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Events {
    /// Pushed to each subscriber's `POST /events`.
    #[default]
    Http,
    /// Published to NATS JetStream, from which each subscriber draws.
    Nats {
        /// `nats://host:port`, and a path where several shops share the server: `nats://host:port/blue`.
        url: String,
    },
}

/// Resilience patterns that can be switched off, to see what each is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switches {
    /// Failed calls are tried again, within a budget.
    pub retries: bool,
    /// Replicas that keep failing are left alone for a while.
    pub breakers: bool,
    /// Work beyond what can be done is refused, browsing before buying.
    pub shedding: bool,
    /// Remaining time travels with each request, and work without enough of it is refused.
    pub deadlines: bool,
    /// Slow reads are asked for a second time.
    pub hedging: bool,
    /// A dependency gets no more of the requests under way than its share.
    pub bulkheads: bool,
    /// Retries are bounded in sum, and not only for each call.
    pub budgets: bool,
    /// Of two replicas the cheaper one is asked, and not any.
    pub balancing: bool,
    /// What was read a moment ago is not read again.
    pub caches: bool,
    /// What cannot be had in time is left out of an answer.
    pub fallbacks: bool,
}

impl Switches {
    /// What scenarios and flags call them.
    pub const NAMES: [&str; 10] = [
        "retries",
        "breakers",
        "shedding",
        "deadlines",
        "hedging",
        "bulkheads",
        "budgets",
        "balancing",
        "caches",
        "fallbacks",
    ];

    /// The switch of one of [`Self::NAMES`].
    pub fn named(&mut self, name: &str) -> Option<&mut bool> {
        match name {
            "retries" => Some(&mut self.retries),
            "breakers" => Some(&mut self.breakers),
            "shedding" => Some(&mut self.shedding),
            "deadlines" => Some(&mut self.deadlines),
            "hedging" => Some(&mut self.hedging),
            "bulkheads" => Some(&mut self.bulkheads),
            "budgets" => Some(&mut self.budgets),
            "balancing" => Some(&mut self.balancing),
            "caches" => Some(&mut self.caches),
            "fallbacks" => Some(&mut self.fallbacks),
            _ => None,
        }
    }
}

impl Switches {
    /// Every pattern on.
    pub const ALL_ON: Self = Self {
        retries: true,
        breakers: true,
        shedding: true,
        deadlines: true,
        hedging: true,
        bulkheads: true,
        budgets: true,
        balancing: true,
        caches: true,
        fallbacks: true,
    };
}

impl Default for Switches {
    fn default() -> Self {
        Self::ALL_ON
    }
}
