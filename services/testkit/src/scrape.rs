//! A small language for tests over a page of metrics: `metric("x").label("y", "z").value_in(&page)`.

use std::cmp::Reverse;

use shop_kit::telemetry::scrape::samples;
pub use shop_kit::telemetry::scrape::{Page, Sample};

/// How many near matches a failure message lists.
const NEAR_MATCHES: usize = 12;

/// The series of this name. Narrow them down with [`Metric::label`].
pub fn metric(name: impl Into<String>) -> Metric {
    Metric {
        name: name.into(),
        labels: Vec::new(),
    }
}

/// Series by name and labels. Labels that are not given may have any value.
#[derive(Debug, Clone)]
pub struct Metric {
    name: String,
    labels: Vec<(String, String)>,
}

impl Metric {
    /// Only series with this label.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((name.into(), value.into()));
        self
    }

    /// The value of the only matching series.
    ///
    /// # Panics
    /// No series matches, or more than one.
    #[track_caller]
    pub fn value_in(&self, page: &str) -> f64 {
        match self.find_in(page).as_slice() {
            [only] => only.value,
            [] => panic!("no {}", self.near_matches(page)),
            several => panic!("{} series match, not one: {several:#?}", several.len()),
        }
    }

    /// The sum over the matching series; 0 without any.
    pub fn sum_in(&self, page: &str) -> f64 {
        self.find_in(page).iter().map(|s| s.value).sum()
    }

    /// Whether some series matches.
    pub fn is_in(&self, page: &str) -> bool {
        !self.find_in(page).is_empty()
    }

    /// Asserts that some series matches.
    ///
    /// # Panics
    /// None does.
    #[track_caller]
    pub fn assert_in(&self, page: &str) {
        assert!(self.is_in(page), "no {}", self.near_matches(page));
    }

    /// The values of a label over the matching series, sorted, repeated values included.
    pub fn values_of(&self, label: &str, page: &str) -> Vec<String> {
        let found = self.find_in(page);
        let values = found.iter().filter_map(|s| s.label(label));
        let mut values: Vec<String> = values.map(ToOwned::to_owned).collect();
        values.sort();
        values
    }

    /// The matching series.
    pub fn find_in<'p>(&self, page: &'p str) -> Vec<Sample<'p>> {
        samples(page).filter(|s| self.matches(s)).collect()
    }

    fn matches(&self, sample: &Sample<'_>) -> bool {
        sample.name == self.name
            && self
                .labels
                .iter()
                .all(|(name, value)| sample.has(name, value))
    }

    /// The metric, and the series of the page that differ least from it: first those of the same name, with most labels in
    /// common, then those whose name begins alike.
    fn near_matches(&self, page: &str) -> String {
        let mut near: Vec<(usize, usize, String)> = samples(page)
            .map(|s| {
                let common = self.labels.iter().filter(|(n, v)| s.has(n, v)).count();
                (common_prefix(s.name, &self.name), common, show(&s))
            })
            .filter(|(prefix, ..)| *prefix >= self.name.len().min(6))
            .collect();
        near.sort_by_key(|n| Reverse((n.0, n.1)));
        let near: Vec<String> = near
            .into_iter()
            .map(|(.., line)| format!("\n  {line}"))
            .take(NEAR_MATCHES)
            .collect();
        match near.is_empty() {
            true => format!("{} on the page, and none with a similar name", self.show()),
            false => format!(
                "{} on the page. Near matches:{}",
                self.show(),
                near.concat()
            ),
        }
    }

    fn show(&self) -> String {
        let labels = self.labels.iter().map(|(n, v)| format!("{n}=\"{v}\""));
        format!("{}{{{}}}", self.name, labels.collect::<Vec<_>>().join(","))
    }
}

fn show(sample: &Sample<'_>) -> String {
    let labels = sample.labels.iter().map(|(n, v)| format!("{n}=\"{v}\""));
    let labels = labels.collect::<Vec<_>>().join(",");
    format!("{}{{{labels}}} {}", sample.name, sample.value)
}

fn common_prefix(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"
shop_orders_total{service_name="order",outcome="confirmed"} 2
shop_orders_total{service_name="order",outcome="declined"} 3 # {trace_id="ab"} 1
shop_outbox_pending{service_name="order"} 0
"#;

    #[test]
    fn a_series_is_found_by_its_labels() {
        let orders = metric("shop_orders_total");
        assert_eq!(
            orders.clone().label("outcome", "declined").value_in(PAGE),
            3.0
        );
        assert_eq!(orders.sum_in(PAGE), 5.0);
        assert_eq!(orders.values_of("outcome", PAGE), ["confirmed", "declined"]);
        assert!(metric("shop_outbox_pending").is_in(PAGE));
        assert!(!metric("shop_outbox").is_in(PAGE));
        assert_eq!(metric("shop_outbox").sum_in(PAGE), 0.0);
    }

    #[test]
    #[should_panic(
        expected = "no shop_orders_total{outcome=\"lost\"} on the page. Near matches:\n  \
                    shop_orders_total{service_name=\"order\",outcome=\"confirmed\"} 2"
    )]
    fn a_missing_series_is_reported_with_near_matches() {
        metric("shop_orders_total")
            .label("outcome", "lost")
            .value_in(PAGE);
    }

    #[test]
    #[should_panic(expected = "2 series match, not one")]
    fn an_ambiguous_series_is_reported() {
        metric("shop_orders_total").value_in(PAGE);
    }
}
