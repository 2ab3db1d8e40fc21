//! What a scenario asks for, held against a shop that is up: what cannot be done to containers, and what the shop is not.
//! No I/O.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use chaos::{Fault, FaultKind, ProcessFault};
use shop_contract::Role;
use shop_kit::config::BankConfig;

use super::found::Found;
use crate::cli::RunOptions;
use crate::scenario::ShopSpec;

/// Whether a run with these options and faults is possible on containers at all.
///
/// # Errors
/// What is not, all of it, with what works instead.
pub(crate) fn can_do(options: &RunOptions, faults: &[Fault]) -> Result<()> {
    let mut cannot = Vec::new();
    let decided = [
        ("--without", options.without.is_some()),
        ("--ablate", options.ablate.is_some()),
        (
            "--database (DOORBUSTER_DATABASE)",
            options.database.is_some(),
        ),
        ("--events (DOORBUSTER_EVENTS)", options.events.is_some()),
        (
            "--smtp-url (DOORBUSTER_SMTP_URL)",
            options.smtp_url.is_some(),
        ),
        ("--keep-data", options.keep_data),
    ];
    for (flag, _) in decided.iter().filter(|(_, given)| *given) {
        cannot.push(format!(
            "{flag}: a shop in Docker is what it was brought up as; set it in the Compose file, or leave out --docker"
        ));
    }
    for fault in faults {
        let what = format!(
            "fault {} ({} of {})",
            fault.name,
            fault.kind.name(),
            fault.target
        );
        match &fault.kind {
            FaultKind::Path(_) => cannot.push(format!(
                "{what}: containers speak to each other directly, without a proxy of ours between them; aim latency, hang, abort or error at the way instead, which its ends hold by themselves, or leave out --docker"
            )),
            FaultKind::Process(ProcessFault::SlowStart { .. }) => cannot.push(format!(
                "{what}: Docker starts a container as it was made, and cannot tell it to be slow this once; kill it with a longer `restart`, or leave out --docker"
            )),
            FaultKind::Process(_) | FaultKind::Service(_) => {}
        }
    }
    refuse("this cannot be done to a shop in Docker", &cannot)
}

/// What the scenario takes for granted and the shop does not have, where the scenario has only said nothing of it.
///
/// # Errors
/// What it asks for and the shop does not have, all of it.
pub(super) fn differences(
    wanted: &ShopSpec,
    faults: &[Fault],
    containers: &[&Found],
) -> Result<Vec<String>> {
    let usual = ShopSpec::default();
    let mut fit = Fit {
        containers,
        refused: Vec::new(),
        notes: Vec::new(),
    };
    for role in Role::ALL {
        let has = containers.iter().filter(|c| c.role == role).count() as u32;
        let wants = wanted.replicas_of(role);
        fit.hold(
            &format!("replicas of {role}"),
            wants,
            has,
            usual.replicas_of(role),
            "bring it up with as many",
        );
    }
    fit.size(
        "products",
        "DOORBUSTER_PRODUCTS",
        Role::Product,
        wanted.products,
        usual.products,
    );
    fit.size(
        "customers",
        "DOORBUSTER_CUSTOMERS",
        Role::User,
        wanted.customers,
        usual.customers,
    );
    fit.size(
        "pieces in stock",
        "DOORBUSTER_STOCK",
        Role::Inventory,
        wanted.stock,
        usual.stock,
    );
    let bank = BankConfig::default();
    let ms = |bank: &BankConfig| bank.median.as_millis() as u64;
    fit.size(
        "the bank's median in ms",
        "DOORBUSTER_BANK_MEDIAN_MS",
        Role::Bank,
        ms(&wanted.bank),
        ms(&bank),
    );
    fit.size(
        "what the bank declines",
        "DOORBUSTER_BANK_DECLINES",
        Role::Bank,
        wanted.bank.decline_ratio,
        bank.decline_ratio,
    );
    fit.size(
        "what the bank leaves unanswered",
        "DOORBUSTER_BANK_SILENT",
        Role::Bank,
        wanted.bank.silent_ratio,
        bank.silent_ratio,
    );
    fit.patterns(wanted);
    fit.customers(wanted.customers, usual.customers);
    fit.gateway(faults);
    refuse("the shop is not what the scenario asks for", &fit.refused)?;
    Ok(fit.notes)
}

struct Fit<'a> {
    containers: &'a [&'a Found],
    refused: Vec<String>,
    notes: Vec<String>,
}

impl Fit<'_> {
    /// A scenario that has the usual value has most likely not written it, and takes the shop as it is.
    fn hold<T: PartialEq + std::fmt::Display + Copy>(
        &mut self,
        what: &str,
        wants: T,
        has: T,
        usual: T,
        mend: &str,
    ) {
        if wants == has {
            return;
        }
        if wants == usual {
            self.notes
                .push(format!("{what}: the shop has {has}, not the usual {usual}"));
        } else {
            self.refused.push(format!(
                "{what}: the scenario has {wants}, the shop {has}; {mend}"
            ));
        }
    }

    /// A setting of a role's containers. One that is not set has its usual value.
    fn size<T>(&mut self, what: &str, name: &str, role: Role, wants: T, usual: T)
    where
        T: PartialEq + std::fmt::Display + std::str::FromStr + Copy,
    {
        let container = self.containers.iter().find(|c| c.role == role);
        let set = container.and_then(|c| c.setting(name)?.parse().ok());
        let mend = format!(
            "bring it up with {name}={wants}, or write the shop's own number into the scenario"
        );
        self.hold(what, wants, set.unwrap_or(usual), usual, &mend);
    }

    /// Patterns must be on and off as the scenario has them, where it has switched any off.
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

    /// Customers who are not registered could not come back.
    fn customers(&mut self, wants: u64, usual: u64) {
        let user = self.containers.iter().find(|c| c.role == Role::User);
        let set = user.and_then(|c| c.setting("DOORBUSTER_CUSTOMERS")?.parse().ok());
        let has: u64 = set.unwrap_or(usual);
        if wants == usual && has < wants {
            self.refused.push(format!(
                "customers: the scenario sends {wants}, of whom the shop knows {has} only; write `shop: {{ customers: {has} }}` into the scenario"
            ));
        }
    }

    /// The crowd knows one door.
    fn gateway(&mut self, faults: &[Fault]) {
        let wanders = |c: &&&Found| c.role == Role::Gateway && c.wanders;
        if !self.containers.iter().any(|c| wanders(&c)) {
            return;
        }
        let starts = |f: &&Fault| {
            let pauses = matches!(f.kind, FaultKind::Process(ProcessFault::Pause));
            matches!(f.kind, FaultKind::Process(_)) && !pauses
        };
        for fault in faults.iter().filter(starts) {
            if fault.target.role == Role::Gateway.name() {
                self.refused.push(format!(
                    "fault {}: Docker chooses the gateway's port anew when it starts again, and the crowd would not find it; publish a port of your choice, as in `ports: [\"127.0.0.1:8080:8080\"]`",
                    fault.name
                ));
            }
        }
    }
}

fn refuse(what: &str, reasons: &[String]) -> Result<()> {
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

    /// A shop of one replica each, all with these settings and this published port of the gateway's.
    fn shop(settings: &[&str], port: &str) -> Vec<Found> {
        let found = |role| {
            let inspected: ContainerInspectResponse = serde_json::from_value(json!({
                "Id": "ab",
                "Config": {"Env": settings},
                "HostConfig": {"PortBindings": {"8080/tcp": [{"HostPort": port}]}},
            }))
            .unwrap();
            Found::read(role, 0, &inspected).unwrap()
        };
        Role::ALL.into_iter().map(found).collect()
    }

    fn held(scenario: &Scenario, containers: &[Found]) -> Result<Vec<String>> {
        let containers: Vec<&Found> = containers.iter().collect();
        differences(&scenario.shop, &scenario.faults, &containers)
    }

    #[test]
    fn what_a_scenario_says_must_be_so_and_of_the_rest_it_is_told() {
        let silent = scenario("", "  []");
        assert_eq!(held(&silent, &shop(&[], "8080")).unwrap(), [""; 0]);
        let other = shop(
            &["DOORBUSTER_PRODUCTS=500", "DOORBUSTER_WITHOUT=caches"],
            "8080",
        );
        let notes = held(&silent, &other).unwrap();
        assert!(
            notes[0].contains("products") && notes[0].contains("500"),
            "{notes:?}"
        );
        assert!(notes[1].contains("without caches"), "{notes:?}");

        let asks = scenario(
            "products: 300, replicas: { order: 2 }, resilience: { retries: false }",
            "  []",
        );
        let told = held(&asks, &other).unwrap_err().to_string();
        for part in [
            "products: the scenario has 300, the shop 500; bring it up with DOORBUSTER_PRODUCTS=300",
            "replicas of order: the scenario has 2, the shop 1",
            "the scenario is without retries, the shop without caches",
        ] {
            assert!(told.contains(part), "{told}");
        }
        let few = held(&silent, &shop(&["DOORBUSTER_CUSTOMERS=10"], "8080"));
        let told = few.unwrap_err().to_string();
        assert!(told.contains("customers: 10"), "{told}");
    }

    #[test]
    fn a_door_that_wanders_is_not_killed() {
        let kill = scenario(
            "",
            "  - { name: f, at: 1s, target: gateway, kind: kill, restart: 2s }\n",
        );
        assert!(held(&kill, &shop(&[], "8080")).is_ok());
        let told = held(&kill, &shop(&[], "0")).unwrap_err().to_string();
        assert!(told.contains("publish a port of your choice"), "{told}");
        let pause = scenario(
            "",
            "  - { name: f, at: 1s, for: 2s, target: gateway, kind: pause }\n",
        );
        assert!(held(&pause, &shop(&[], "0")).is_ok());
    }
}
