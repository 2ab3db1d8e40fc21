//! The series of metrics pages, with their labels.

use std::collections::{BTreeMap, BTreeSet};

use shop_kit::telemetry::scrape;

/// Labels that Prometheus adds to each series of a target.
pub(super) const OF_A_TARGET: [&str; 4] = ["job", "instance", "service", "replica"];
/// Labels whose values depend on errors. An expression may use any value.
const OPEN: [&str; 2] = ["error_type", "http_response_status_code"];

/// The labels of one series. The value `*` means any value.
type Labels = BTreeMap<String, String>;

/// The series of each name. The labels of a series stay together, because all matchers must match one series.
#[derive(Default)]
pub(super) struct Series(BTreeMap<String, BTreeSet<Labels>>);

/// A label, and a predicate for its value.
pub(super) type LabelMatcher<'w> = (&'w str, &'w dyn Fn(&str) -> bool);

impl Series {
    /// Adds all series of a page.
    pub(super) fn read(&mut self, page: &str) {
        for sample in scrape::samples(page) {
            let own = sample
                .labels
                .iter()
                .map(|(label, value)| (*label, &**value));
            self.add(
                sample.name,
                OF_A_TARGET.map(|l| (l, "*")).into_iter().chain(own),
            );
        }
    }

    /// Adds a series.
    pub(super) fn add<'l>(
        &mut self,
        name: &str,
        labels: impl IntoIterator<Item = (&'l str, &'l str)>,
    ) {
        let labels = labels.into_iter();
        let labels = labels.map(|(label, value)| (label.to_owned(), value.to_owned()));
        let known = self.0.entry(name.to_owned()).or_default();
        known.insert(labels.collect());
    }

    /// Whether a series has this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The labels of the series with a name.
    pub(super) fn labels(&self, name: &str) -> BTreeSet<String> {
        let series = self.0.get(name).into_iter().flatten();
        series.flat_map(|labels| labels.keys().cloned()).collect()
    }

    /// Whether all matchers match one series with this name. The value `*` always matches; a missing label never does.
    pub(super) fn matches(&self, name: &str, wanted: &[LabelMatcher<'_>]) -> bool {
        let fits = |labels: &Labels, label: &str, wanted: &dyn Fn(&str) -> bool| {
            let value = labels.get(label);
            value.is_some_and(|v| v == "*" || OPEN.contains(&label) || wanted(v))
        };
        let mut series = self.0.get(name).into_iter().flatten();
        series.any(|labels| wanted.iter().all(|(label, w)| fits(labels, label, w)))
    }
}
