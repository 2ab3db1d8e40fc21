//! Bulkheads over real sockets: a peer that hangs takes no more than its share of the caller's capacity.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use shop_contract::Role;
use shop_contract::operation::{cart, product};
use shop_kit::Kit;
use shop_kit::client::{Call, CallError};
use shop_kit::config::Switches;
use shop_kit::problem::ApiError;
use shop_resilience::Priority;
use shop_testkit::{config, metric, serve, until};
use tokio::task::JoinSet;

use crate::with_priority;

struct Shop {
    gateway: Kit,
    /// Requests that hang at the product service.
    hanging: Arc<AtomicU32>,
}

async fn shop(bulkheads: bool) -> Shop {
    let hanging = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&hanging);
    let product = Router::new().fallback(move || {
        let count = Arc::clone(&count);
        async move {
            count.fetch_add(1, SeqCst);
            pending::<StatusCode>().await
        }
    });
    let cart = Router::new().fallback(|| async { StatusCode::NO_CONTENT });
    let peers = BTreeMap::from([
        (Role::Product, vec![serve(product).await]),
        (Role::Cart, vec![serve(cart).await]),
    ]);
    let mut config = config(Role::Gateway, &std::env::temp_dir(), peers);
    config.resilience = Switches {
        bulkheads,
        ..Switches::default()
    };
    Shop {
        gateway: Kit::new(config),
        hanging,
    }
}

impl Shop {
    fn call(
        &self,
        peer: Role,
        priority: Priority,
    ) -> impl Future<Output = Result<StatusCode, CallError>> + Send + 'static {
        let kit = self.gateway.clone();
        async move {
            let operation = match peer {
                Role::Product => &product::LIST,
                _ => &cart::ONE,
            };
            let call = Call::to(operation).unhedged();
            let answer = kit.call(call, &with_priority(priority)).await;
            answer.map(|a| a.status)
        }
    }

    fn in_use(&self) -> f64 {
        let in_use = metric("shop_bulkhead_in_use").label("server_address", "product");
        in_use.value_in(&self.gateway.metrics().render())
    }

    fn rejected(&self) -> f64 {
        let rejected = metric("shop_bulkhead_rejected_total").label("server_address", "product");
        rejected.value_in(&self.gateway.metrics().render())
    }
}

#[tokio::test]
async fn a_hanging_peer_leaves_capacity_for_higher_priorities_and_other_peers() {
    let shop = shop(true).await;
    let full = Err(CallError::Bulkhead(Role::Product));
    assert_eq!((shop.in_use(), shop.rejected()), (0.0, 0.0));
    let mut calls = JoinSet::new();
    let mut expected = 0;
    // Of half of 64: browsing up to 80 %, buying up to 95 %, the last one for critical calls.
    for (priority, fit) in [
        (Priority::Browsing, 25),
        (Priority::Buying, 6),
        (Priority::Critical, 1),
    ] {
        for _ in 0..fit {
            calls.spawn(shop.call(Role::Product, priority));
        }
        expected += fit;
        until("all calls to arrive", async || {
            shop.hanging.load(SeqCst) == expected
        })
        .await;
        assert_eq!(shop.call(Role::Product, priority).await, full);
    }
    assert_eq!((shop.in_use(), shop.rejected()), (32.0, 3.0));
    let other = shop.call(Role::Cart, Priority::Browsing).await;
    assert_eq!(other, Ok(StatusCode::NO_CONTENT));
    // Refused calls were not sent, so the breaker has nothing to count.
    assert_eq!(shop.hanging.load(SeqCst), 32);

    calls.shutdown().await;
    assert_eq!(shop.in_use(), 0.0, "a cancelled call frees its slot");
    calls.spawn(shop.call(Role::Product, Priority::Browsing));
    until("the next call to arrive", async || {
        shop.hanging.load(SeqCst) == 33
    })
    .await;
}

#[tokio::test]
async fn without_bulkheads_calls_are_not_limited() {
    let shop = shop(false).await;
    let mut calls = JoinSet::new();
    for _ in 0..50 {
        calls.spawn(shop.call(Role::Product, Priority::Browsing));
    }
    until("all calls to arrive", async || {
        shop.hanging.load(SeqCst) == 50
    })
    .await;
}

#[tokio::test]
async fn a_refusal_is_marked_as_shed_and_as_no_fault_of_the_service() {
    let refusal = ApiError::from(CallError::Bulkhead(Role::Product)).into_response();
    assert_eq!(refusal.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refusal.headers().contains_key("x-shed"));
    assert!(refusal.headers().contains_key("x-not-at-fault"));
    let body = axum::body::to_bytes(refusal.into_body(), 4096)
        .await
        .unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert!(
        text.contains("urn:doorbuster:problem:dependency-busy"),
        "{text}"
    );
}
