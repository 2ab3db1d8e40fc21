//! Metrics pages: which series there are, and with which labels.

use std::collections::{BTreeMap, BTreeSet};

/// Labels that Prometheus puts on what it scrapes: its own, and those of the list of targets.
pub(super) const OF_A_TARGET: [&str; 4] = ["job", "instance", "service", "replica"];
/// Labels whose values come about only when something goes wrong: any of them may be asked for.
const OPEN: [&str; 2] = ["error_type", "http_response_status_code"];

/// The labels of one series with their values; `*` where nobody can know beforehand.
type Labels = BTreeMap<String, String>;

/// The series of each name. Labels are kept together, so that what is wanted of several has to be true of one series.
#[derive(Default)]
pub(super) struct Series(BTreeMap<String, BTreeSet<Labels>>);

/// A label, and whether a value of it is as wanted.
pub(super) type Wanted<'w> = (&'w str, &'w dyn Fn(&str) -> bool);

impl Series {
    /// Takes in all lines of a page.
    pub(super) fn read(&mut self, page: &str) {
        for line in page.lines().filter(|l| !l.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            if name.is_empty() {
                continue;
            }
            // No value of ours has a quotation mark or a brace in it but for routes, whose braces come in pairs.
            let labels = line
                .split_once('{')
                .and_then(|(_, rest)| rest.split_once("\"}"))
                .map_or("", |(labels, _)| labels);
            let own = labels
                .split("\",")
                .filter_map(|part| part.split_once("=\""));
            self.add(name, OF_A_TARGET.map(|l| (l, "*")).into_iter().chain(own));
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

    /// Whether there is such a name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The labels that series of a name have.
    pub(super) fn labels(&self, name: &str) -> BTreeSet<String> {
        let series = self.0.get(name).into_iter().flatten();
        series.flat_map(|labels| labels.keys().cloned()).collect()
    }

    /// Whether one series of a name is as wanted in all of its labels. What nobody can know beforehand is as wanted, and a
    /// label that it has not is not.
    pub(super) fn matches(&self, name: &str, wanted: &[Wanted<'_>]) -> bool {
        let fits = |labels: &Labels, label: &str, wanted: &dyn Fn(&str) -> bool| {
            let value = labels.get(label);
            value.is_some_and(|v| v == "*" || OPEN.contains(&label) || wanted(v))
        };
        let mut series = self.0.get(name).into_iter().flatten();
        series.any(|labels| wanted.iter().all(|(label, w)| fits(labels, label, w)))
    }
}
