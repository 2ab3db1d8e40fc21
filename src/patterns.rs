//! The resilience patterns that a shop can do without: one type for flags, scenarios and service settings.

use std::str::FromStr;

use clap::ValueEnum;
use shop_kit::config::Switches;
use syntax::{Node, did_you_mean};

/// A resilience pattern. Ordered by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Pattern {
    Balancing,
    Breakers,
    Budgets,
    Bulkheads,
    Caches,
    Deadlines,
    Fallbacks,
    Hedging,
    Retries,
    Shedding,
}

impl Pattern {
    /// The name in scenarios, flags and records.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Balancing => "balancing",
            Self::Breakers => "breakers",
            Self::Budgets => "budgets",
            Self::Bulkheads => "bulkheads",
            Self::Caches => "caches",
            Self::Deadlines => "deadlines",
            Self::Fallbacks => "fallbacks",
            Self::Hedging => "hedging",
            Self::Retries => "retries",
            Self::Shedding => "shedding",
        }
    }

    /// The pattern of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::from_str(name, false).ok()
    }

    /// Reads a list of names in a scenario.
    pub(crate) fn read_list(node: Node<'_>) -> Option<Vec<Self>> {
        let items = node.list()?.into_iter();
        let read = |item: Node<'_>| Self::named(item.one_of(&Switches::NAMES)?);
        items.map(read).collect()
    }
}

/// Patterns in a flag or variable, separated by commas: `retries,breakers`. Empty text is an empty list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PatternList(pub(crate) Vec<Pattern>);

impl PatternList {
    /// The switches of a service that does without these patterns.
    pub(crate) fn switches(&self) -> Switches {
        let mut switches = Switches::default();
        for pattern in &self.0 {
            if let Some(on) = switches.named(pattern.name()) {
                *on = false;
            }
        }
        switches
    }
}

impl FromStr for PatternList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = text.split(',').map(str::trim).filter(|n| !n.is_empty());
        let known = |name| {
            Pattern::named(name)
                .ok_or_else(|| format!("`{name}`: {}", did_you_mean(name, &Switches::NAMES)))
        };
        names.map(known).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_switch_of_a_service_is_a_pattern() {
        let mut switches = Switches::NAMES;
        switches.sort_unstable();
        let names: Vec<&str> = Pattern::value_variants().iter().map(|p| p.name()).collect();
        assert_eq!(names, switches);
        for &pattern in Pattern::value_variants() {
            assert_eq!(Pattern::named(pattern.name()), Some(pattern));
        }
    }

    #[test]
    fn a_pattern_is_switched_off_by_its_name_only() {
        let off: PatternList = "retries, shedding".parse().unwrap();
        let off = off.switches();
        assert!(!off.retries && !off.shedding && off.breakers && off.deadlines);
        assert_eq!("".parse(), Ok(PatternList::default()));
        let wrong = "retrys".parse::<PatternList>().unwrap_err();
        assert!(wrong.contains("did you mean `retries`?"), "{wrong}");
    }
}
