//! The shop of a scenario: sizes, replicas, resilience patterns, bank behaviour.

use std::collections::{BTreeMap, BTreeSet};

use shop_bank::BankConfig;
use shop_contract::Role;
use shop_kit::config::Switches;
use syntax::{Node, did_you_mean, units};

use crate::patterns::Pattern;

/// The most replicas of a role, because they share one machine.
const MAX_REPLICAS: u64 = 16;

/// The shop of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ShopSpec {
    /// Products in the catalogue.
    pub products: u64,
    /// Registered customers.
    pub customers: u64,
    /// Units of each product in stock.
    pub stock: u32,
    /// Replicas of the roles that set them. Others have one.
    pub replicas: BTreeMap<Role, u32>,
    /// Resilience patterns that are off.
    pub without: BTreeSet<Pattern>,
    /// How the bank behaves.
    pub bank: BankConfig,
}

impl Default for ShopSpec {
    fn default() -> Self {
        Self {
            products: 2000,
            customers: 1000,
            stock: 1000,
            replicas: BTreeMap::new(),
            without: BTreeSet::new(),
            bank: BankConfig::default(),
        }
    }
}

impl ShopSpec {
    /// The number of replicas of a role.
    pub(crate) fn replicas_of(&self, role: Role) -> u32 {
        self.replicas.get(&role).copied().unwrap_or(1)
    }

    /// The names of the patterns that are off, sorted.
    pub(crate) fn switched_off(&self) -> Vec<&'static str> {
        self.without.iter().map(|pattern| pattern.name()).collect()
    }
}

/// Reads `shop:`.
pub(super) fn read(node: Node<'_>) -> Option<ShopSpec> {
    let mut map = node.map()?;
    let mut shop = ShopSpec::default();
    let sizes = [
        map.optional("products", |n| units::integer_in(n, 10, 100_000))
            .map(|n| shop.products = n),
        map.optional("customers", |n| units::integer_in(n, 1, 1_000_000))
            .map(|n| shop.customers = n),
        map.optional("stock", |n| units::integer_in(n, 0, 1_000_000))
            .map(|n| shop.stock = n as u32),
    ];
    // Each size is optional. A wrong one has reported its mistake.
    let _ = sizes;
    map.optional("replicas", |n| {
        for (role, key, value) in n.map()?.entries() {
            match role.parse::<Role>() {
                Ok(role) => {
                    let count = units::integer_in(value, 1, MAX_REPLICAS)?;
                    shop.replicas.insert(role, count as u32);
                }
                Err(_) => {
                    let roles = Role::ALL.map(Role::name);
                    key.mistake(format!("no role `{role}`; {}", did_you_mean(role, &roles)));
                }
            }
        }
        Some(())
    });
    map.optional("resilience", |n| {
        let mut switches = n.map()?;
        for name in Switches::NAMES {
            let on = switches.optional(name, Node::flag);
            if on == Some(false) {
                shop.without.extend(Pattern::named(name));
            }
        }
        switches.finish();
        Some(())
    });
    map.optional("bank", |n| {
        let mut bank = n.map()?;
        if let Some(median) = bank.optional("median", units::duration) {
            shop.bank.median = median;
        }
        if let Some(share) = bank.optional("declines", units::share) {
            shop.bank.decline_ratio = share;
        }
        if let Some(share) = bank.optional("silent", units::share) {
            shop.bank.silent_ratio = share;
        }
        bank.finish();
        Some(())
    });
    map.finish();
    Some(shop)
}
