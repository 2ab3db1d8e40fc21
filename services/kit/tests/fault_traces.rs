//! A trace shows which faults applied to a request, at the caller and at the service.
//!
//! A binary of its own with one test, for the reason in `event_traces`.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

use std::collections::BTreeMap;

use axum::Router;
use axum::routing::get;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData};
use shop_contract::Role;
use shop_contract::faults::{Distribution, FaultEffect, FaultOrder, MAX_TTL_MS, Only};
use shop_contract::operation::product;
use shop_kit::client::Call;
use shop_kit::context::Context;
use shop_kit::{Kit, server};
use shop_testkit::{CollectedSpans, config, serve};
use tracing_subscriber::layer::SubscriberExt;

/// The faults that a span names.
fn faults(span: &SpanData) -> Vec<String> {
    let attributes = span.attributes.iter();
    let named = attributes.filter(|a| a.key.as_str() == "shop.fault");
    named.map(|a| a.value.as_str().into_owned()).collect()
}

fn order(name: &str, calling: Option<Role>, effect: FaultEffect) -> FaultOrder {
    FaultOrder {
        name: name.to_owned(),
        ttl_ms: MAX_TTL_MS,
        share: 1.0,
        seed: 7,
        only: Only {
            calling,
            ..Only::default()
        },
        effect,
    }
}

#[tokio::test]
async fn the_spans_of_a_request_name_its_faults_and_each_injection_has_a_span() {
    let collected = CollectedSpans::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(collected.clone())
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let folder = std::env::temp_dir();
    let product = Kit::new(config(Role::Product, &folder, BTreeMap::new()));
    let routes = Router::new().route("/products/{id}", get(|| async { "a product" }));
    let address = serve(server::stack(&product, routes)).await;
    let peers = BTreeMap::from([(Role::Product, vec![address])]);
    let cart = Kit::new(config(Role::Cart, &folder, peers));

    let delay = FaultEffect::Latency {
        delay_us: 1,
        jitter_us: 0,
        distribution: Distribution::Uniform,
    };
    let slow = order("slow", None, delay);
    product.faults().inject(slow).unwrap();
    let corrupted = order("corrupted", None, FaultEffect::Corrupt);
    product.faults().inject(corrupted).unwrap();
    let garbled = order("garbled", Some(Role::Product), FaultEffect::Corrupt);
    cart.faults().inject(garbled).unwrap();

    let call = Call::to(&product::ONE).path("p-1");
    let answer = cart.call(call, &Context::background()).await;
    assert_eq!(answer.unwrap().status, 200);

    let spans = collected.take();
    let named = |name: &str, parent: &SpanData| {
        let mut spans = spans.iter();
        let found =
            spans.find(|s| s.name == name && s.parent_span_id == parent.span_context.span_id());
        found.unwrap_or_else(|| panic!("no {name} in {spans:#?}"))
    };
    let call = spans
        .iter()
        .find(|s| faults(s) == ["garbled"] && s.name == "GET /products/{id}");
    let call = call.unwrap_or_else(|| panic!("no call in {spans:#?}"));
    let request = named("GET /products/{id}", call);
    assert_eq!(faults(request), ["slow,corrupted"]);
    assert_eq!(faults(named("injected latency", request)), ["slow"]);
    assert_eq!(faults(named("injected corrupt", request)), ["corrupted"]);
    assert_eq!(faults(named("injected corrupt", call)), ["garbled"]);
}
