//! The recorder behind the `metrics` facade: it renders OpenMetrics text with exemplars.
//!
//! Code records with the facade's macros. The recorder is our own [`metrics::Recorder`] over the types of
//! `prometheus-client`, because neither the facade's usual exporter nor the OpenTelemetry SDK adds exemplars to histograms, and
//! exemplars lead from a spike to its trace. Each service has its own recorder and nothing is global, so several services can
//! share a process in a test.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use ::metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use parking_lot::RwLock;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter as PromCounter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge as PromGauge;
use prometheus_client::registry::Registry;

use super::names;
use super::trace_context::current_trace_id;

/// The media type of [`Metrics::render`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics of one service. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    recorder: Arc<OpenMetrics>,
}

impl Metrics {
    /// No metrics yet. Every series will have the labels `service_name` and `service_instance_id`.
    pub fn new(service_name: &str, instance_id: &str) -> Self {
        let label = |k, v: &str| (Cow::Borrowed(k), Cow::Owned(v.to_owned()));
        let registry = Registry::with_labels(
            [
                label("service_name", service_name),
                label("service_instance_id", instance_id),
            ]
            .into_iter(),
        );
        Self {
            recorder: Arc::new(OpenMetrics {
                families: RwLock::new(Families {
                    registry,
                    ..Families::default()
                }),
            }),
        }
    }

    /// Sets the buckets of a histogram, in seconds, if it is not one of the kit's.
    #[must_use]
    pub fn with_buckets(self, name: &'static str, buckets: &'static [f64]) -> Self {
        self.recorder.families.write().buckets.insert(name, buckets);
        self
    }

    /// The recorder, for code that keeps handles. Help texts of the facade's `describe_` macros override [`names::HELP`].
    pub fn recorder(&self) -> Arc<dyn Recorder + Send + Sync> {
        self.recorder.clone()
    }

    /// Runs `f` with this recorder as the target of the facade's macros. `f` must not await: the recorder is set per thread.
    pub fn record<T>(&self, f: impl FnOnce() -> T) -> T {
        ::metrics::with_local_recorder(&*self.recorder, f)
    }

    /// Sets a counter with fractions, such as seconds, to a sum that is kept elsewhere: the facade's counters are integers. A
    /// lower value is ignored.
    pub fn set_sum(&self, name: &'static str, sum: f64) {
        let cell = self.recorder.families.read().sums.get(name).cloned();
        let cell = cell.unwrap_or_else(|| self.recorder.families.write().sum(name));
        // For non-negative numbers, the order of the bits is the order of the values.
        if sum.is_finite() && sum >= 0.0 {
            cell.inner().fetch_max(sum.to_bits(), Ordering::Relaxed);
        }
    }

    /// All metrics as OpenMetrics text.
    pub fn render(&self) -> String {
        let families = self.recorder.families.read();
        let mut text = String::with_capacity(16 * 1024);
        // Writing to a String cannot fail. If it did, a page that reports the error is better than half a page.
        match encode(&mut text, &families.registry) {
            Ok(()) => text,
            Err(e) => format!("# metrics could not be encoded: {e}\n# EOF\n"),
        }
    }
}

type Labels = Vec<(String, String)>;

#[derive(Clone)]
struct BucketsOf(&'static [f64]);

impl MetricConstructor<HistogramWithExemplars<Labels>> for BucketsOf {
    fn new_metric(&self) -> HistogramWithExemplars<Labels> {
        HistogramWithExemplars::new(self.0.iter().copied())
    }
}

type Counters = Family<Labels, PromCounter>;
type Gauges = Family<Labels, PromGauge<f64, AtomicU64>>;
type Sum = PromCounter<f64, AtomicU64>;
type Histograms = Family<Labels, HistogramWithExemplars<Labels>, BucketsOf>;

/// The families by name, and the handles by key, so that recording costs one look-up.
#[derive(Default)]
struct Families {
    registry: Registry,
    described: HashMap<String, String>,
    buckets: HashMap<&'static str, &'static [f64]>,
    counters: HashMap<String, Counters>,
    gauges: HashMap<String, Gauges>,
    histograms: HashMap<String, Histograms>,
    sums: HashMap<&'static str, Sum>,
    counter_handles: HashMap<Key, Counter>,
    gauge_handles: HashMap<Key, Gauge>,
    histogram_handles: HashMap<Key, Histogram>,
}

impl Families {
    fn sum(&mut self, name: &'static str) -> Sum {
        let help = self.help(name);
        let Self { registry, sums, .. } = self;
        let sum = sums.entry(name).or_insert_with(|| {
            let sum = Sum::default();
            registry.register(without_suffix(name), help, sum.clone());
            sum
        });
        sum.clone()
    }
}

/// The name without `_total`: the encoder adds the suffix, which OpenMetrics requires of every counter.
fn without_suffix(name: &str) -> &str {
    name.strip_suffix("_total").unwrap_or(name)
}

struct OpenMetrics {
    families: RwLock<Families>,
}

fn labels(key: &Key) -> Labels {
    key.labels()
        .map(|l| (l.key().to_owned(), l.value().to_owned()))
        .collect()
}

impl Families {
    fn help(&self, name: &str) -> String {
        if let Some(text) = self.described.get(name) {
            return text.clone();
        }
        let known = names::HELP.iter().find(|(n, _)| *n == name);
        known.map_or_else(String::new, |(_, text)| (*text).to_owned())
    }

    fn buckets(&self, name: &str) -> &'static [f64] {
        let own = self.buckets.get(name).copied();
        own.unwrap_or_else(|| names::buckets(name))
    }
}

impl OpenMetrics {
    fn describe(&self, name: KeyName, text: SharedString) {
        let mut families = self.families.write();
        let (name, text) = (name.as_str().to_owned(), text.into_owned());
        families.described.insert(name, text);
    }
}

impl Recorder for OpenMetrics {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, text: SharedString) {
        self.describe(name, text);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, text: SharedString) {
        self.describe(name, text);
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, text: SharedString) {
        self.describe(name, text);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        if let Some(handle) = self.families.read().counter_handles.get(key) {
            return handle.clone();
        }
        let mut families = self.families.write();
        let help = families.help(key.name());
        let Families {
            registry, counters, ..
        } = &mut *families;
        let family = counters.entry(key.name().to_owned()).or_insert_with(|| {
            let family = Counters::default();
            let name = without_suffix(key.name());
            registry.register(name, help, family.clone());
            family
        });
        let counter = family.get_or_create_owned(&labels(key));
        let handle = Counter::from_arc(Arc::new(CounterCell(counter)));
        families.counter_handles.insert(key.clone(), handle.clone());
        handle
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        if let Some(handle) = self.families.read().gauge_handles.get(key) {
            return handle.clone();
        }
        let mut families = self.families.write();
        let help = families.help(key.name());
        let Families {
            registry, gauges, ..
        } = &mut *families;
        let family = gauges.entry(key.name().to_owned()).or_insert_with(|| {
            let family = Gauges::default();
            registry.register(key.name(), help, family.clone());
            family
        });
        let gauge = family.get_or_create_owned(&labels(key));
        let handle = Gauge::from_arc(Arc::new(GaugeCell(gauge)));
        families.gauge_handles.insert(key.clone(), handle.clone());
        handle
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        if let Some(handle) = self.families.read().histogram_handles.get(key) {
            return handle.clone();
        }
        let mut families = self.families.write();
        let (help, buckets) = (families.help(key.name()), families.buckets(key.name()));
        let Families {
            registry,
            histograms,
            ..
        } = &mut *families;
        let family = histograms.entry(key.name().to_owned()).or_insert_with(|| {
            let family = Histograms::new_with_constructor(BucketsOf(buckets));
            registry.register(key.name(), help, family.clone());
            family
        });
        let histogram = family.get_or_create_owned(&labels(key));
        let handle = Histogram::from_arc(Arc::new(HistogramCell(histogram)));
        families
            .histogram_handles
            .insert(key.clone(), handle.clone());
        handle
    }
}

struct CounterCell(PromCounter);

impl ::metrics::CounterFn for CounterCell {
    fn increment(&self, value: u64) {
        self.0.inc_by(value);
    }

    fn absolute(&self, value: u64) {
        self.0.inner().fetch_max(value, Ordering::Relaxed);
    }
}

struct GaugeCell(PromGauge<f64, AtomicU64>);

impl ::metrics::GaugeFn for GaugeCell {
    fn increment(&self, value: f64) {
        self.0.inc_by(value);
    }

    fn decrement(&self, value: f64) {
        self.0.dec_by(value);
    }

    fn set(&self, value: f64) {
        self.0.set(value);
    }
}

struct HistogramCell(HistogramWithExemplars<Labels>);

impl ::metrics::HistogramFn for HistogramCell {
    fn record(&self, value: f64) {
        // Only a sampled trace can be looked up.
        let exemplar = current_trace_id(true).map(|id| vec![("trace_id".to_owned(), id)]);
        // With a timestamp, or Prometheus would take the same exemplar for a new one at every scrape.
        let at = exemplar.is_some().then(SystemTime::now);
        self.0.observe(value, exemplar, at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_rendered_as_openmetrics_with_the_service_on_every_series() {
        let m = Metrics::new("order", "order-1");
        m.record(|| {
            ::metrics::counter!(names::ORDERS, "outcome" => "confirmed").increment(2);
            ::metrics::histogram!(names::HTTP_SERVER_DURATION, "http_route" => "/orders")
                .record(0.003);
            ::metrics::gauge!(names::OUTBOX_PENDING).set(4.0);
        });
        let text = m.render();
        for line in [
            "# TYPE shop_orders counter",
            r#"shop_orders_total{service_name="order",service_instance_id="order-1",outcome="confirmed"} 2"#,
            r#"http_server_request_duration_seconds_bucket{service_name="order",service_instance_id="order-1",le="0.005",http_route="/orders"} 1"#,
            "# HELP shop_outbox_pending Events waiting in the outbox.",
            "# EOF",
        ] {
            assert!(text.contains(line), "no `{line}` in:\n{text}");
        }
    }

    #[test]
    fn a_sum_has_fractions_and_never_falls() {
        let m = Metrics::new("order", "order-1");
        for sum in [1.5, 1.25, f64::NAN, -1.0] {
            m.set_sum(names::PROCESS_CPU, sum);
        }
        let line = r#"process_cpu_time_seconds_total{service_name="order",service_instance_id="order-1"} 1.5"#;
        assert!(m.render().contains(line), "{}", m.render());
    }

    #[test]
    fn two_services_in_one_process_have_separate_metrics() {
        let (a, b) = (Metrics::new("a", "a-0"), Metrics::new("b", "b-0"));
        a.record(|| ::metrics::counter!(names::RETRIES).increment(1));
        assert!(a.render().contains("shop_client_retries_total"));
        assert!(!b.render().contains("shop_client_retries_total"));
    }
}
