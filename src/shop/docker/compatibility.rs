//! Compares a scenario with a shop in containers: faults that containers do not support, and settings that differ. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use chaos::{Fault, FaultKind, ProcessFault};
use shop_bank::BankConfig;
use shop_contract::Role;

use super::container::ContainerInfo;
use crate::scenario::ShopSpec;

/// The faults that a shop in containers does not support, each with an alternative.
pub(crate) fn unsupported(faults: &[Fault]) -> Vec<String> {
    let mut unsupported = Vec::new();
    for fault in faults {
        let what = format!(
            "fault {} ({} of {})",
            fault.name,
            fault.kind.name(),
            fault.target
        );
        match &fault.kind {
            FaultKind::Path(_) => unsupported.push(format!(
                "{what}: containers connect to each other directly, without a proxy of the harness; target the edge with latency, hang, abort or error instead, which the services inject themselves, or leave out --docker"
            )),
            FaultKind::Process(ProcessFault::SlowStart { .. }) => unsupported.push(format!(
                "{what}: Docker cannot delay one start of a container; use kind kill with a longer `restart`, or leave out --docker"
            )),
            FaultKind::Process(_) | FaultKind::Service(_) => {}
        }
    }
    unsupported
}

/// Compares a shop with a scenario's assumptions. Gives a note for each difference from a default that the scenario does
/// not set.
///
/// # Errors
/// Every difference from what the scenario sets.
pub(super) fn differences(
    wanted: &ShopSpec,
    faults: &[Fault],
    containers: &[&ContainerInfo],
) -> Result<Vec<String>> {
    let default = ShopSpec::default();
    let mut comparison = Comparison {
        containers,
        refused: Vec::new(),
        notes: Vec::new(),
    };
    for role in Role::ALL {
        let has = containers.iter().filter(|c| c.role == role).count() as u32;
        let wants = wanted.replicas_of(role);
        comparison.compare(
            &format!("replicas of {role}"),
            wants,
            has,
            default.replicas_of(role),
            "bring it up with as many",
        );
    }
    comparison.setting(
        "products",
        "DOORBUSTER_PRODUCTS",
        Role::Product,
        wanted.products,
        default.products,
    );
    comparison.setting(
        "customers",
        "DOORBUSTER_CUSTOMERS",
        Role::User,
        wanted.customers,
        default.customers,
    );
    comparison.setting(
        "pieces in stock",
        "DOORBUSTER_STOCK",
        Role::Inventory,
        wanted.stock,
        default.stock,
    );
    let bank = BankConfig::default();
    let ms = |bank: &BankConfig| bank.median.as_millis() as u64;
    comparison.setting(
        "the bank's median in ms",
        "DOORBUSTER_BANK_MEDIAN_MS",
        Role::Bank,
        ms(&wanted.bank),
        ms(&bank),
    );
    comparison.setting(
        "what the bank declines",
        "DOORBUSTER_BANK_DECLINES",
        Role::Bank,
        wanted.bank.decline_ratio,
        bank.decline_ratio,
    );
    comparison.setting(
        "what the bank leaves unanswered",
        "DOORBUSTER_BANK_SILENT",
        Role::Bank,
        wanted.bank.silent_ratio,
        bank.silent_ratio,
    );
    comparison.patterns(wanted);
    comparison.customers(wanted.customers, default.customers);
    comparison.gateway(faults);
    refuse(
        "the shop is not what the scenario asks for",
        &comparison.refused,
    )?;
    Ok(comparison.notes)
}

struct Comparison<'a> {
    containers: &'a [&'a ContainerInfo],
    refused: Vec<String>,
    notes: Vec<String>,
}

impl Comparison<'_> {
    /// Compares one value. A scenario with the default value has most likely not set it, so a difference is only noted.
    fn compare<T: PartialEq + std::fmt::Display + Copy>(
        &mut self,
        what: &str,
        wants: T,
        has: T,
        default: T,
        hint: &str,
    ) {
        if wants == has {
            return;
        }
        if wants == default {
            self.notes.push(format!(
                "{what}: the shop has {has}, not the default {default}"
            ));
        } else {
            self.refused.push(format!(
                "{what}: the scenario has {wants}, the shop {has}; {hint}"
            ));
        }
    }

    /// Compares an environment variable of a role's containers. An unset variable has its default value.
    fn setting<T>(&mut self, what: &str, name: &str, role: Role, wants: T, default: T)
    where
        T: PartialEq + std::fmt::Display + std::str::FromStr + Copy,
    {
        let container = self.containers.iter().find(|c| c.role == role);
        let set = container.and_then(|c| c.setting(name)?.parse().ok());
        let hint = format!(
            "bring it up with {name}={wants}, or write the shop's own number into the scenario"
        );
        self.compare(what, wants, set.unwrap_or(default), default, &hint);
    }

    /// The same patterns must be off. If the scenario switches none off, a difference is only noted.
    fn patterns(&mut self, wanted: &ShopSpec) {
        let wants = wanted.switched_off();
        let mut others: BTreeMap<Vec<&str>, Vec<String>> = BTreeMap::new();
        for container in self.containers {
            let set = container.setting("DOORBUSTER_WITHOUT").unwrap_or_default();
            let named = set.split(',').map(str::trim).filter(|p| !p.is_empty());
            let off: BTreeSet<&str> = named.collect();
            let off: Vec<&str> = off.into_iter().collect();
            if off != wants {
                others.entry(off).or_default().push(container.target());
            }
        }
        for (off, of) in others {
            let who = if of.len() == self.containers.len() {
                "the shop".to_owned()
            } else {
                of.join(", ")
            };
            let has = match &off[..] {
                [] => "nothing".to_owned(),
                some => some.join(", "),
            };
            if wants.is_empty() {
                self.notes.push(format!("without {has}: {who}"));
            } else {
                self.refused.push(format!(
                    "patterns: the scenario is without {}, {who} without {has}; bring it up with DOORBUSTER_WITHOUT={}",
                    wants.join(", "),
                    wants.join(",")
                ));
            }
        }
    }

    /// The shop must know every customer that the scenario sends: returning customers log in.
    fn customers(&mut self, wants: u64, default: u64) {
        let user = self.containers.iter().find(|c| c.role == Role::User);
        let set = user.and_then(|c| c.setting("DOORBUSTER_CUSTOMERS")?.parse().ok());
        let has: u64 = set.unwrap_or(default);
        if wants == default && has < wants {
            self.refused.push(format!(
                "customers: the scenario sends {wants}, and the shop has {has} only; write `shop: {{ customers: {has} }}` into the scenario"
            ));
        }
    }

    /// A gateway must keep its address after a restart, because the load goes to one address.
    fn gateway(&mut self, faults: &[Fault]) {
        let moves = |c: &&&ContainerInfo| c.role == Role::Gateway && c.has_random_port;
        if !self.containers.iter().any(|c| moves(&c)) {
            return;
        }
        let restarts = |f: &&Fault| {
            let pauses = matches!(f.kind, FaultKind::Process(ProcessFault::Pause));
            matches!(f.kind, FaultKind::Process(_)) && !pauses
        };
        for fault in faults.iter().filter(restarts) {
            if fault.target.role == Role::Gateway.name() {
                self.refused.push(format!(
                    "fault {}: Docker publishes the gateway at another port after a restart, and the load would not reach it; publish a port of your choice, as in `ports: [\"127.0.0.1:8080:8080\"]`",
                    fault.name
                ));
            }
        }
    }
}

/// Fails with all reasons, if there are any.
///
/// # Errors
/// The reasons.
pub(crate) fn refuse(what: &str, reasons: &[String]) -> Result<()> {
    match reasons {
        [] => Ok(()),
        [one] => bail!("{what}: {one}"),
        many => bail!("{what}:\n  {}", many.join("\n  ")),
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::ContainerInspectResponse;
    use serde_json::json;

    use super::*;
    use crate::scenario::Scenario;

    fn scenario(shop: &str, faults: &str) -> Scenario {
        let text = format!(
            "name: x\nshop: {{ {shop} }}\nload: {{ mix: shopping, phases: [{{ name: a, for: 60s, arrivals: 1/s }}] }}\nfaults:\n{faults}"
        );
        Scenario::parse("x.yaml", &text, None).unwrap()
    }

    /// A shop with one replica of each role, these environment variables, and this published port of the gateway.
    fn shop(settings: &[&str], port: &str) -> Vec<ContainerInfo> {
        let container = |role| {
            let inspected: ContainerInspectResponse = serde_json::from_value(json!({
                "Id": "ab",
                "Config": {"Env": settings},
                "HostConfig": {"PortBindings": {"8080/tcp": [{"HostPort": port}]}},
            }))
            .unwrap();
            ContainerInfo::read(role, 0, &inspected).unwrap()
        };
        Role::ALL.into_iter().map(container).collect()
    }

    fn compared(scenario: &Scenario, containers: &[ContainerInfo]) -> Result<Vec<String>> {
        let containers: Vec<&ContainerInfo> = containers.iter().collect();
        differences(&scenario.shop, &scenario.faults, &containers)
    }

    #[test]
    fn a_set_value_must_match_and_a_default_may_differ() {
        let defaults = scenario("", "  []");
        assert_eq!(compared(&defaults, &shop(&[], "8080")).unwrap(), [""; 0]);
        let other = shop(
            &["DOORBUSTER_PRODUCTS=500", "DOORBUSTER_WITHOUT=caches"],
            "8080",
        );
        let notes = compared(&defaults, &other).unwrap();
        assert!(
            notes[0].contains("products") && notes[0].contains("500"),
            "{notes:?}"
        );
        assert!(notes[1].contains("without caches"), "{notes:?}");

        let asks = scenario(
            "products: 300, replicas: { order: 2 }, resilience: { retries: false }",
            "  []",
        );
        let error = compared(&asks, &other).unwrap_err().to_string();
        for part in [
            "products: the scenario has 300, the shop 500; bring it up with DOORBUSTER_PRODUCTS=300",
            "replicas of order: the scenario has 2, the shop 1",
            "the scenario is without retries, the shop without caches",
        ] {
            assert!(error.contains(part), "{error}");
        }
        let few = compared(&defaults, &shop(&["DOORBUSTER_CUSTOMERS=10"], "8080"));
        let error = few.unwrap_err().to_string();
        assert!(error.contains("customers: 10"), "{error}");
    }

    #[test]
    fn a_gateway_with_a_random_port_is_not_restarted() {
        let kill = scenario(
            "",
            "  - { name: f, at: 1s, target: gateway, kind: kill, restart: 2s }\n",
        );
        assert!(compared(&kill, &shop(&[], "8080")).is_ok());
        let error = compared(&kill, &shop(&[], "0")).unwrap_err().to_string();
        assert!(error.contains("publish a port of your choice"), "{error}");
        let pause = scenario(
            "",
            "  - { name: f, at: 1s, for: 2s, target: gateway, kind: pause }\n",
        );
        assert!(compared(&pause, &shop(&[], "0")).is_ok());
    }
}
