//! Metrics pages: which series there are, and with which labels.

use std::collections::{BTreeMap, BTreeSet};

/// Labels that Prometheus puts on what it scrapes: its own, and those of the list of targets.
pub(super) const OF_A_TARGET: [&str; 4] = ["job", "instance", "service", "replica"];
/// Labels whose values come about only when something goes wrong: any of them may be asked for.
const OPEN: [&str; 2] = ["error_type", "http_response_status_code"];

/// The labels of each name, with the values that were seen.
#[derive(Default)]
pub(super) struct Series(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

impl Series {
    /// Takes in all lines of a page.
    pub(super) fn read(&mut self, page: &str) {
        for line in page.lines().filter(|l| !l.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            if name.is_empty() {
                continue;
            }
            self.add(name, OF_A_TARGET.map(|l| (l, "")));
            // No value of ours has a quotation mark or a brace in it but for routes, whose braces come in pairs.
            let labels = line
                .split_once('{')
                .and_then(|(_, rest)| rest.split_once("\"}"))
                .map_or("", |(labels, _)| labels);
            for part in labels.split("\",") {
                if let Some((label, value)) = part.split_once("=\"") {
                    self.add(name, [(label, value)]);
                }
            }
        }
    }

    /// Adds labels to a name, and the name if it is new.
    pub(super) fn add<'l>(
        &mut self,
        name: &str,
        labels: impl IntoIterator<Item = (&'l str, &'l str)>,
    ) {
        let known = self.0.entry(name.to_owned()).or_default();
        for (label, value) in labels {
            let values = known.entry(label.to_owned()).or_default();
            values.insert(value.to_owned());
        }
    }

    /// Whether there is such a name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The labels of a name.
    pub(super) fn labels(&self, name: &str) -> BTreeSet<String> {
        let labels = self.0.get(name).into_iter().flat_map(|l| l.keys());
        labels.cloned().collect()
    }

    /// Whether a name has this label with a value that is as wanted. What nobody can know beforehand counts as there.
    pub(super) fn matches(&self, name: &str, label: &str, wanted: impl Fn(&str) -> bool) -> bool {
        let Some(values) = self.0.get(name).and_then(|labels| labels.get(label)) else {
            return false;
        };
        OPEN.contains(&label)
            || OF_A_TARGET.contains(&label)
            || values.contains("*")
            || values.iter().any(|v| wanted(v))
    }
}
