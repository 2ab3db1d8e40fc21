//! What a service is told at its start. Parsed once, at the edge, by the command; nothing reads the environment later.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

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
    /// Where e-mail goes, as an `smtp:` or `smtps:` URL; without one, messages are kept and not sent.
    pub smtp_url: Option<String>,
    /// Which resilience patterns are on.
    pub resilience: Switches,
    /// How the shop is stocked.
    pub shop: ShopConfig,
    /// How the bank behaves, where this is the bank.
    pub bank: BankConfig,
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

/// How the bank behaves, the shop's outside party.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BankConfig {
    /// Half of its answers take longer than this.
    pub median: Duration,
    /// The share of ordinary cards that it declines, 0 to 1.
    pub decline_ratio: f64,
    /// The share of charges that it makes and never answers, 0 to 1.
    pub silent_ratio: f64,
}

impl Default for BankConfig {
    fn default() -> Self {
        Self {
            median: Duration::from_millis(40),
            decline_ratio: 0.02,
            silent_ratio: 0.002,
        }
    }
}

/// How the shop is stocked. The same figures give the same shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShopConfig {
    /// Seed of catalogue and customers.
    pub seed: u64,
    /// Products in the catalogue.
    pub products: u64,
    /// Registered customers.
    pub customers: u64,
    /// Pieces of each product in stock when the shop opens.
    pub stock: u32,
}
