//! Limits OpenTelemetry's log lines about itself. A lost batch must be logged, but a receiver that is down would cause one line
//! a second.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::callsite::Identifier;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

/// Each line is logged at most once in this time.
const INTERVAL: Duration = Duration::from_secs(60);

/// Passes all events; those of OpenTelemetry's crates once a minute for each call site.
#[derive(Debug, Default)]
pub(super) struct OtelLogThrottle {
    last: Mutex<HashMap<Identifier, Instant>>,
}

impl OtelLogThrottle {
    /// Whether an event of this call site is logged now.
    fn is_due(&self, callsite: Identifier, now: Instant) -> bool {
        let mut last = self.last.lock();
        let is_due = last
            .get(&callsite)
            .is_none_or(|at| now.duration_since(*at) >= INTERVAL);
        if is_due {
            last.insert(callsite, now);
        }
        is_due
    }
}

fn is_otel(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("opentelemetry")
}

/// Whether it is a late record after the shutdown, which is normal.
fn is_after_shutdown(metadata: &Metadata<'_>) -> bool {
    metadata.name().ends_with(".AfterShutdown")
}

impl<S: Subscriber> Filter<S> for OtelLogThrottle {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        !is_otel(metadata)
            || (!is_after_shutdown(metadata) && self.is_due(metadata.callsite(), Instant::now()))
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        match is_otel(metadata) {
            true => Interest::sometimes(),
            false => Interest::always(),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Counts the events that reach it, by target.
    #[derive(Clone, Default)]
    struct Counter(Arc<Mutex<Vec<&'static str>>>);

    impl<S: Subscriber> Layer<S> for Counter {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(event.metadata().target());
        }
    }

    #[test]
    fn lines_of_opentelemetry_are_not_repeated_and_others_are() {
        let counter = Counter::default();
        let layer = counter.clone().with_filter(OtelLogThrottle::default());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            for _ in 0..3 {
                tracing::error!(target: "opentelemetry_sdk", "a batch is lost");
                tracing::warn!(target: "opentelemetry_sdk", "another thing");
                tracing::warn!(name: "X.AfterShutdown", target: "opentelemetry_sdk", "late");
                tracing::info!(target: "shop_kit", "own");
            }
        });
        let events = counter.0.lock().unwrap();
        let count = |target| events.iter().filter(|t| **t == target).count();
        assert_eq!((count("opentelemetry_sdk"), count("shop_kit")), (2, 3));
    }

    #[test]
    fn a_line_is_repeated_after_a_minute() {
        let throttle = OtelLogThrottle::default();
        let site = tracing::error_span!("any").metadata().unwrap().callsite();
        let now = Instant::now();
        assert!(throttle.is_due(site.clone(), now));
        assert!(!throttle.is_due(site.clone(), now + INTERVAL / 2));
        assert!(throttle.is_due(site, now + INTERVAL));
    }
}
