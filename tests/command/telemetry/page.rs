//! Reads a metrics page for the comparison with the document.

use std::collections::{BTreeMap, BTreeSet};

use shop_kit::telemetry::scrape::{Page, Sample};

/// The metrics of one or more pages.
#[derive(Debug, Default)]
pub(super) struct Exposed {
    /// By the metric's name, counters with their suffix: type, labels.
    pub(super) metrics: BTreeMap<String, (String, BTreeSet<String>)>,
    /// By the histogram's name, the trace ids of its exemplars.
    pub(super) exemplars: BTreeMap<String, BTreeSet<String>>,
}

impl Exposed {
    pub(super) fn add(&mut self, text: &str) {
        assert!(text.ends_with("\n# EOF\n"), "{text}");
        assert_eq!(text.matches("# EOF").count(), 1);
        let page = Page::parse(text);
        let lines = |start: &str| text.lines().filter(|l| l.starts_with(start)).count();
        assert_eq!(page.types.len(), lines("# TYPE "), "a type occurs twice");
        for family in page.types.keys() {
            let help = page.help.get(family).copied().unwrap_or_default();
            assert!(help.len() > 1, "`{family}` has no help");
        }
        let samples = text.lines().filter(|l| !l.starts_with('#')).count();
        assert_eq!(page.samples.len(), samples, "a line is not valid");
        for sample in &page.samples {
            self.sample(&page.types, sample);
        }
    }

    fn sample(&mut self, types: &BTreeMap<&str, &str>, sample: &Sample<'_>) {
        let (name, kind) = family(types, sample.name);
        let mut labels: BTreeSet<String> = sample.labels.iter().map(|l| l.0.to_owned()).collect();
        for common in ["service_name", "service_instance_id"] {
            assert!(labels.remove(common), "no {common} in: {sample:?}");
        }
        labels.remove("le");
        let known = self.metrics.entry(name.clone()).or_default();
        known.0 = kind;
        known.1.extend(labels);
        if let Some(id) = sample.exemplar_trace_id() {
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
