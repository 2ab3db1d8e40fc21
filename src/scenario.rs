//! A scenario file: shop, load, faults and expectations.
//!
//! The crate of each part has its type and its parser. This file combines them, so that one pass reports the mistakes of all
//! parts.

#[cfg(test)]
mod docs;
mod rewrite;
mod shop;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use chaos::{AbortCondition, Begin, Fault, Storm};
use loadgen::STEPS;
use loadgen::spec::Load;
use results::expect::Expectation;
use shop_contract::Role;
use syntax::{Document, Map, Mistakes, Node, units};

use crate::patterns::Pattern;
pub(crate) use shop::ShopSpec;

/// The built-in demo, which runs from any folder.
pub(crate) const DEMO: &str = include_str!("../scenarios/demo.yaml");
/// The path that stands for the built-in demo.
pub(crate) const DEMO_PATH: &str = "scenarios/demo.yaml";

/// A scenario without mistakes.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    /// Its name.
    pub name: String,
    /// Its description.
    pub about: Option<String>,
    /// The seed of all its randomness.
    pub seed: u64,
    /// The shop.
    pub shop: ShopSpec,
    /// The load.
    pub load: Load,
    /// The faults, including those of the storm.
    pub faults: Vec<Fault>,
    /// Patterns without which it is expected to fail.
    pub relies_on: Vec<Pattern>,
    /// The conditions that abort the experiment.
    pub abort: Vec<AbortCondition>,
    /// The expectations.
    pub expect: Vec<Expectation>,
    /// The text of the file, with the seed in use.
    pub text: String,
}

/// The error of reading a scenario.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScenarioError {
    /// The file cannot be read.
    #[error("the scenario {0} cannot be read: {1}")]
    Unreadable(String, std::io::Error),
    /// The file has mistakes.
    #[error(transparent)]
    Mistakes(#[from] Mistakes),
}

impl Scenario {
    /// Reads a file. [`DEMO_PATH`] without a file is the built-in demo.
    ///
    /// # Errors
    /// The file cannot be read, or has mistakes: all of them.
    pub(crate) fn read(path: &Path, seed: Option<u64>) -> Result<Self, ScenarioError> {
        let shown = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(_) if path == Path::new(DEMO_PATH) => DEMO.to_owned(),
            Err(e) => return Err(ScenarioError::Unreadable(shown, e)),
        };
        Ok(Self::parse(&shown, &text, seed)?)
    }

    /// Parses the text of a file. `seed` replaces the seed in the file.
    ///
    /// # Errors
    /// The mistakes in the text.
    pub(crate) fn parse(file: &str, text: &str, seed: Option<u64>) -> Result<Self, Mistakes> {
        let doc = Document::parse(file, text)?;
        let parts = doc.root().map().map(read_parts);
        // A text without mistakes has all parts. The parsers have reported what is missing.
        doc.finish()?;
        let Some(Some(parts)) = parts else {
            let unexplained =
                "nothing is wrong with it, yet it cannot be used; please report this file";
            return Err(Mistakes::single(file, unexplained));
        };
        let seed_used = seed.or(parts.seed).unwrap_or(1);
        let mut faults = parts.faults;
        if let Some(storm) = parts.storm {
            let drawn = storm.faults(
                &fault_context(&parts.shop, Some(&parts.load)),
                &faults,
                seed_used,
            );
            faults.extend(drawn);
        }
        Ok(Self {
            name: parts.name,
            about: parts.about,
            seed: seed_used,
            shop: parts.shop,
            load: parts.load,
            faults,
            abort: parts.abort,
            relies_on: parts.relies_on,
            expect: parts.expect,
            text: rewrite::with_key(text, "seed", &seed_used.to_string()),
        })
    }

    /// The scenario with more patterns switched off.
    pub(crate) fn without(&self, patterns: &[Pattern]) -> Self {
        let mut changed = self.clone();
        changed.shop.without.extend(patterns);
        if !patterns.is_empty() {
            let off = changed.shop.switched_off().join(", ");
            changed.text = rewrite::with_key(&changed.text, "without", &format!("[{off}]"));
        }
        changed
    }
}

impl Scenario {
    /// The scenario with these faults and no storm. `None` if its text cannot be changed this way.
    pub(crate) fn with_faults(&self, faults: &[Fault]) -> Option<Self> {
        let text = rewrite::with_faults(&self.text, faults)?;
        let scenario = Self::parse("scenario", &text, Some(self.seed)).ok()?;
        (scenario.faults == faults).then_some(scenario)
    }

    /// A summary of the scenario, for `doorbuster check`.
    pub(crate) fn describe(&self) -> String {
        let mut text = format!("{}: no mistakes\n", self.name);
        if let Some(about) = &self.about {
            text += &format!("  {about}\n");
        }
        let replicas: u32 = Role::ALL.iter().map(|r| self.shop.replicas_of(*r)).sum();
        text += &format!(
            "  shop      {} products, {} customers, {replicas} processes",
            self.shop.products, self.shop.customers
        );
        let off = self.shop.switched_off();
        if !off.is_empty() {
            text += &format!(", without {}", off.join(", "));
        }
        text += &format!(
            "\n  load      {} in {} phases, seed {}\n",
            units::show_duration(self.load.total()),
            self.load.phases.len(),
            self.seed
        );
        for fault in &self.faults {
            text += &format!(
                "  fault     {} ({} of {}) {}\n",
                fault.name,
                fault.kind.name(),
                fault.target,
                when(fault)
            );
        }
        if !self.abort.is_empty() {
            text += &format!("  stops     at {} conditions\n", self.abort.len());
        }
        text + &format!("  expects   {} things\n", self.expect.len())
    }
}

/// When a fault is in force, as text.
fn when(fault: &Fault) -> String {
    let length = units::show_duration(fault.length());
    match &fault.begins {
        Begin::At(at) => format!(
            "from {} to {}",
            units::show_duration(*at),
            units::show_duration(at.saturating_add(fault.length()))
        ),
        Begin::After { fault, wait } => format!(
            "{} after the end of {fault}, for {length}",
            units::show_duration(*wait)
        ),
        Begin::When { breaker, wait } => format!(
            "{} after the breaker {breaker} opens, for {length}",
            units::show_duration(*wait)
        ),
    }
}

/// The parts of the shop and the load that faults refer to. A part with mistakes is replaced by the default, so that it
/// causes no further mistakes in faults.
fn fault_context(shop: &ShopSpec, load: Option<&Load>) -> chaos::spec::Shop {
    let all = Role::ALL.into_iter();
    let replicas = all.map(|r| (r.name().to_owned(), shop.replicas_of(r)));
    chaos::spec::Shop {
        replicas: replicas.collect(),
        duration: load.map_or(Duration::MAX, Load::total),
    }
}

struct Parts {
    name: String,
    about: Option<String>,
    seed: Option<u64>,
    shop: ShopSpec,
    load: Load,
    faults: Vec<Fault>,
    relies_on: Vec<Pattern>,
    storm: Option<Storm>,
    abort: Vec<AbortCondition>,
    expect: Vec<Expectation>,
}

fn read_parts(mut map: Map<'_>) -> Option<Parts> {
    let name = map.required("name", name);
    let about = map.optional("about", Node::text);
    let seed = map.optional("seed", units::integer);
    let mut shop = match map.get("shop") {
        Some(node) => shop::read(node),
        None => Some(ShopSpec::default()),
    };
    let without = map
        .optional("without", Pattern::read_list)
        .unwrap_or_default();
    let relies_on = map
        .optional("relies_on", Pattern::read_list)
        .unwrap_or_default();
    if let Some(shop) = &mut shop {
        shop.without.extend(without);
    }
    let load = map.required("load", Load::read);
    // Faults and expectations are parsed even if the shop or the load has mistakes, so that one pass reports all mistakes.
    let context = fault_context(&shop.clone().unwrap_or_default(), load.as_ref());
    let faults = match map.get("faults") {
        Some(node) => chaos::spec::read(node, &context),
        None => Some(Vec::new()),
    };
    let storm = match map.get("storm") {
        Some(node) => {
            let written = faults.as_deref().unwrap_or_default();
            chaos::spec::read_storm(node, &context, written).map(Some)
        }
        None => Some(None),
    };
    let abort = match map.get("abort") {
        Some(node) => chaos::spec::read_abort(node, STEPS),
        None => Some(Vec::new()),
    };
    let expect = match map.get("expect") {
        Some(node) => read_expectations(node, load.as_ref()),
        None => Some(Vec::new()),
    };
    map.finish();
    Some(Parts {
        name: name?,
        about,
        seed,
        shop: shop?,
        load: load?,
        faults: faults?,
        relies_on,
        storm: storm?,
        abort: abort?,
        expect: expect?,
    })
}

fn name(node: Node<'_>) -> Option<String> {
    let text = node.text()?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() || text.len() > 60 || !text.chars().all(fits) {
        node.mistake(format!(
            "a name has 1 to 60 of a-z, 0-9 and -, for it becomes a folder's name; found `{text}`"
        ));
        return None;
    }
    Some(text)
}

fn read_expectations(node: Node<'_>, load: Option<&Load>) -> Option<Vec<Expectation>> {
    let phases: Vec<String> = load
        .into_iter()
        .flat_map(|l| l.phases.iter().filter(|p| p.measure))
        .map(|p| p.name.clone())
        .collect();
    let items = node.list()?;
    // Without a load there are no phases, and a mistake for each reference would hide the real one.
    load?;
    let read: Vec<Option<Expectation>> = items
        .into_iter()
        .map(|item| Expectation::read(item, STEPS, &phases))
        .collect();
    read.into_iter().collect()
}
