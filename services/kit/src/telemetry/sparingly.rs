//! Complaints of the telemetry about itself: written, for what is lost silently is missed too late, but not with every
//! batch that a receiver does not take, which is one a second as long as it is away.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

/// How long each complaint is not repeated.
const PAUSE: Duration = Duration::from_secs(60);

/// Lets everything through, and each complaint of OpenTelemetry's code once a minute.
#[derive(Debug, Default)]
pub(super) struct Sparingly {
    said: Mutex<HashMap<Identifier, Instant>>,
}

impl Sparingly {
    /// Whether this is to be said now.
    fn is_due(&self, what: Identifier, now: Instant) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = said
            .get(&what)
            .is_none_or(|at| now.duration_since(*at) >= PAUSE);
        if is_due {
            said.insert(what, now);
        }
        is_due
    }
}

fn is_about_itself(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("opentelemetry")
}

/// In the last moments of a process there are always some who are late; that says nothing.
fn is_farewell(metadata: &Metadata<'_>) -> bool {
    metadata.name().ends_with(".AfterShutdown")
}

impl<S: Subscriber> Filter<S> for Sparingly {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        !is_about_itself(metadata)
            || (!is_farewell(metadata) && self.is_due(metadata.callsite(), Instant::now()))
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        match is_about_itself(metadata) {
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
    use std::sync::Arc;

    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Counts the events that reach it, by target.
    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<&'static str>>>);

    impl<S: Subscriber> Layer<S> for Heard {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(event.metadata().target());
        }
    }

    #[test]
    fn what_telemetry_says_of_itself_is_not_repeated_and_all_else_is() {
        let heard = Heard::default();
        let layer = heard.clone().with_filter(Sparingly::default());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            for _ in 0..3 {
                tracing::error!(target: "opentelemetry_sdk", "a batch is lost");
                tracing::warn!(target: "opentelemetry_sdk", "another thing");
                tracing::warn!(name: "X.AfterShutdown", target: "opentelemetry_sdk", "late");
                tracing::info!(target: "shop_kit", "ours");
            }
        });
        let heard = heard.0.lock().unwrap();
        let count = |target| heard.iter().filter(|t| **t == target).count();
        assert_eq!((count("opentelemetry_sdk"), count("shop_kit")), (2, 3));
    }

    #[test]
    fn it_is_said_again_after_a_minute() {
        let sparingly = Sparingly::default();
        let site = tracing::error_span!("any").metadata().unwrap().callsite();
        let now = Instant::now();
        assert!(sparingly.is_due(site.clone(), now));
        assert!(!sparingly.is_due(site.clone(), now + PAUSE / 2));
        assert!(sparingly.is_due(site, now + PAUSE));
    }
}
