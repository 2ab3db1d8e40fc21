//! The settings of a service process. The command parses them once; nothing reads the environment later.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use shop_contract::Role;

use crate::telemetry::sampler::SamplerCounts;

/// Settings of one service process.
#[derive(Debug, Clone)]
pub struct ServiceConfig {
    /// Its role.
    pub role: Role,
    /// Its index among the replicas of its role, from 0.
    pub replica: u32,
    /// The address of the shop's listener.
    pub listen: SocketAddr,
    /// The address of the admin listener: metrics, health, faults, audit.
    pub admin: SocketAddr,
    /// The bearer token that the admin listener requires, if any.
    pub admin_token: Option<String>,
    /// The URL of its database.
    pub database_url: String,
    /// The addresses (`host:port`) of every role it may call, one per replica.
    pub peers: BTreeMap<Role, Vec<String>>,
    /// The services' shared key.
    pub service_key: String,
    /// How events reach their subscribers.
    pub events: Events,
    /// Which resilience patterns are on.
    pub resilience: Switches,
    /// The seed of everything random. The same seed gives the same shop.
    pub seed: u64,
    /// The decisions of the process's trace sampler, for the service's metrics.
    pub traces: SamplerCounts,
}

impl ServiceConfig {
    /// `order/1`: its name in scenarios, metrics and logs.
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
    /// Published to NATS JetStream, where each subscriber has a consumer.
    Nats {
        /// `nats://host:port`, and a path where several shops share the server: `nats://host:port/blue`.
        url: String,
    },
}

/// Resilience patterns. Each can be switched off, to see what it is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switches {
    /// Failed calls are tried again, within a budget.
    pub retries: bool,
    /// Replicas that keep failing get no requests for a while.
    pub breakers: bool,
    /// Requests beyond the limit are refused, browsing before buying.
    pub shedding: bool,
    /// Each request carries its remaining time, and is refused when that is too short.
    pub deadlines: bool,
    /// Slow reads are sent to a second replica.
    pub hedging: bool,
    /// Calls to one dependency may use a share of the limit only.
    pub bulkheads: bool,
    /// All retries together are bounded, not only those of each call.
    pub budgets: bool,
    /// The cheaper of two replicas is asked instead of any.
    pub balancing: bool,
    /// Recent reads are answered from memory.
    pub caches: bool,
    /// An answer comes without the parts that are not available in time.
    pub fallbacks: bool,
}

impl Switches {
    /// Their names in scenarios and flags.
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
