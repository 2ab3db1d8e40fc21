//! The trace of an event's cause continues at its subscriber, over both transports.
//!
//! A binary of its own with one test: `tracing` caches for the whole process whether a span has a subscriber, and another test
//! without a subscriber could cache that it has none.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

#[path = "events/world.rs"]
#[allow(dead_code, reason = "shared with the tests of events")]
mod world;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use shop_testkit::{CollectedSpans, until};
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;

use world::{Transport, World};

#[tokio::test]
async fn the_subscribers_span_belongs_to_the_producers_trace() {
    let collected = CollectedSpans::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(collected.clone())
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    for transport in [Transport::Http, Transport::Nats] {
        continues(transport, &collected).await;
    }
}

async fn continues(transport: Transport, collected: &CollectedSpans) {
    let Some(world) = World::open(transport).await else {
        return;
    };
    collected.take();
    let (relay, subscriber) = (world.relay(), world.subscriber());
    world
        .write(0..1)
        .instrument(tracing::info_span!("cause"))
        .await;
    until("the subscriber's span", async || {
        collected.named("process shop.orders").is_some()
    })
    .await;
    relay.stop().await;
    subscriber.stop().await;
    let cause = collected.named("cause").unwrap();
    let send = collected.named("send shop.orders").unwrap();
    let process = collected.named("process shop.orders").unwrap();
    assert_eq!(send.parent_span_id, cause.span_context.span_id());
    assert_eq!(
        process.span_context.trace_id(),
        cause.span_context.trace_id()
    );
    if transport == Transport::Nats {
        // Over HTTP the two spans of the request are between them.
        assert_eq!(process.parent_span_id, send.span_context.span_id());
    }
    let system = if transport == Transport::Nats {
        "nats"
    } else {
        "http"
    };
    for span in [&send, &process] {
        let attribute = |key: &str| {
            let found = span.attributes.iter().find(|a| a.key.as_str() == key);
            let found = found.unwrap_or_else(|| panic!("no {key} in {span:?}"));
            found.value.as_str().into_owned()
        };
        assert_eq!(attribute("messaging.system"), system);
        assert_eq!(attribute("messaging.destination.name"), "shop.orders");
        let operation = span.name.split(' ').next().unwrap();
        assert_eq!(attribute("messaging.operation.name"), operation);
        assert_eq!(attribute("messaging.operation.type"), operation);
        assert!(!attribute("messaging.message.id").is_empty());
    }
}
