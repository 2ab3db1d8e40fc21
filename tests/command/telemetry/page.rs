//! Reads a metrics page for the comparison with the document.

use std::collections::{BTreeMap, BTreeSet};

/// The metrics of one or more pages.
#[derive(Debug, Default)]
pub(super) struct Exposed {
    /// By the metric's name, counters with their suffix: type, labels.
    pub(super) metrics: BTreeMap<String, (String, BTreeSet<String>)>,
    /// By the histogram's name, the trace ids of its exemplars.
    pub(super) exemplars: BTreeMap<String, BTreeSet<String>>,
}

impl Exposed {
    pub(super) fn add(&mut self, page: &str) {
        let mut types: BTreeMap<&str, &str> = BTreeMap::new();
        assert!(page.ends_with("\n# EOF\n"), "{page}");
        assert_eq!(page.matches("# EOF").count(), 1);
        for line in page.lines() {
            if let Some(message) = line.strip_prefix("# TYPE ") {
                let (family, kind) = message.split_once(' ').unwrap();
                assert!(
                    types.insert(family, kind).is_none(),
                    "`{family}` occurs twice"
                );
            } else if let Some(message) = line.strip_prefix("# HELP ") {
                let (family, help) = message.split_once(' ').unwrap();
                assert!(help.len() > 1, "`{family}` has no help");
            } else if !line.starts_with('#') {
                self.sample(&types, line);
            }
        }
    }

    fn sample(&mut self, types: &BTreeMap<&str, &str>, line: &str) {
        let (series, exemplar) = match line.split_once(" # {") {
            Some((series, exemplar)) => (series, Some(exemplar)),
            None => (line, None),
        };
        let (name, rest) = series.split_once('{').unwrap();
        let (name, kind) = family(types, name);
        let mut labels = labels(rest);
        for common in ["service_name", "service_instance_id"] {
            assert!(labels.remove(common), "no {common} in: {line}");
        }
        labels.remove("le");
        let known = self.metrics.entry(name.clone()).or_default();
        known.0 = kind;
        known.1.extend(labels);
        if let Some(exemplar) = exemplar {
            let id = exemplar.split('"').nth(1).unwrap();
            let of = self.exemplars.entry(name).or_default();
            of.insert(id.to_owned());
        }
    }
}

/// The metric that a sample belongs to, and its type.
fn family(types: &BTreeMap<&str, &str>, sample: &str) -> (String, String) {
    if let Some(kind) = types.get(sample) {
        return (sample.to_owned(), (*kind).to_owned());
    }
    let (base, suffix) = sample.rsplit_once('_').unwrap();
    match (types.get(base), suffix) {
        (Some(&"counter"), "total") => (sample.to_owned(), "counter".to_owned()),
        (Some(&"histogram"), "bucket" | "sum" | "count") => {
            (base.to_owned(), "histogram".to_owned())
        }
        _ => panic!("`{sample}` has no metric with a type"),
    }
}

/// The names of the labels in `a="b",c="d"} 1`. No value contains a quotation mark.
fn labels(text: &str) -> BTreeSet<String> {
    text.split('"')
        .step_by(2)
        .filter_map(|part| part.strip_suffix('='))
        .map(|name| name.trim_start_matches(',').to_owned())
        .collect()
}
