//! What a service is told at its start. Parsed once, at the edge, by the command; nothing reads the environment later.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use shop_contract::Role;

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
    /// Which resilience patterns are on.
    pub resilience: Switches,
    /// How the shop is stocked.
    pub shop: ShopConfig,
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
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            retries: true,
            breakers: true,
            shedding: true,
            deadlines: true,
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
