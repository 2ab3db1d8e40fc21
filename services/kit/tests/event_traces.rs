//! The trace of what caused an event goes on at its subscriber, whichever way it takes.
//!
//! A binary of its own with one test: `tracing` caches for the whole process whether anybody listens to a span, and a
//! test beside this one, which has no subscriber, could cache that nobody does.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

#[path = "events/world.rs"]
#[allow(dead_code, reason = "shared with the tests of events")]
mod world;

use std::fmt;
use std::sync::{Arc, Mutex};

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;

use world::{Way, World, until};

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

impl SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

impl Kept {
    fn named(&self, name: &str) -> Option<SpanData> {
        let spans = self.0.lock().unwrap();
        spans.iter().find(|s| s.name == name).cloned()
    }
}

#[tokio::test]
async fn the_subscribers_span_belongs_to_the_producers_trace() {
    let kept = Kept::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(kept.clone())
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    for way in [Way::Http, Way::Nats] {
        goes_on(way, &kept).await;
    }
}

async fn goes_on(way: Way, kept: &Kept) {
    let Some(world) = World::open(way).await else {
        return;
    };
    kept.0.lock().unwrap().clear();
    let (relay, subscriber) = (world.relay(), world.subscriber());
    world
        .write(0..1)
        .instrument(tracing::info_span!("cause"))
        .await;
    until(async || kept.named("process shop.orders").is_some()).await;
    relay.stop().await;
    subscriber.stop().await;
    let cause = kept.named("cause").unwrap();
    let send = kept.named("send shop.orders").unwrap();
    let process = kept.named("process shop.orders").unwrap();
    assert_eq!(send.parent_span_id, cause.span_context.span_id());
    assert_eq!(
        process.span_context.trace_id(),
        cause.span_context.trace_id()
    );
    if way == Way::Nats {
        // Over HTTP the request's two spans are between them.
        assert_eq!(process.parent_span_id, send.span_context.span_id());
    }
    let system = if way == Way::Nats { "nats" } else { "http" };
    for span in [&send, &process] {
        let said = |key: &str| {
            let found = span.attributes.iter().find(|a| a.key.as_str() == key);
            let found = found.unwrap_or_else(|| panic!("no {key} in {span:?}"));
            found.value.as_str().into_owned()
        };
        assert_eq!(said("messaging.system"), system);
        assert_eq!(said("messaging.destination.name"), "shop.orders");
        let operation = span.name.split(' ').next().unwrap();
        assert_eq!(said("messaging.operation.name"), operation);
        assert_eq!(said("messaging.operation.type"), operation);
        assert!(!said("messaging.message.id").is_empty());
    }
}
