//! Bulkheads between real sockets: a peer that hangs takes its share of the caller, and no more.

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
use shop_testkit::{config, serve};
use tokio::task::JoinSet;

use crate::{as_a, of, until};

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
    fn ask(
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
            let answer = kit
                .call(Call::to(operation).unhedged(), &as_a(priority))
                .await;
            answer.map(|a| a.status)
        }
    }

    fn in_use(&self) -> f64 {
        let labels = [("server_address", "product")];
        of(&self.gateway, "shop_bulkhead_in_use", &labels)
    }

    fn rejected(&self) -> f64 {
        let labels = [("server_address", "product")];
        of(&self.gateway, "shop_bulkhead_rejected_total", &labels)
    }
}

#[tokio::test]
async fn a_peer_that_hangs_leaves_room_for_what_matters_more_and_for_other_peers() {
    let shop = shop(true).await;
    let full = Err(CallError::Bulkhead(Role::Product));
    assert_eq!((shop.in_use(), shop.rejected()), (0.0, 0.0));
    let mut asking = JoinSet::new();
    let mut expected = 0;
    // Of the half of 64: browsing up to 80 %, buying up to 95 %, the last one for what finishes what was begun.
    for (priority, fit) in [
        (Priority::Browsing, 25),
        (Priority::Buying, 6),
        (Priority::Critical, 1),
    ] {
        for _ in 0..fit {
            asking.spawn(shop.ask(Role::Product, priority));
        }
        expected += fit;
        until("all of them to be under way", || {
            shop.hanging.load(SeqCst) == expected
        })
        .await;
        assert_eq!(shop.ask(Role::Product, priority).await, full);
    }
    assert_eq!((shop.in_use(), shop.rejected()), (32.0, 3.0));
    let other = shop.ask(Role::Cart, Priority::Browsing).await;
    assert_eq!(other, Ok(StatusCode::NO_CONTENT));
    // Nobody was asked on behalf of those who were refused, so the breaker has nothing to count.
    assert_eq!(shop.hanging.load(SeqCst), 32);

    asking.shutdown().await;
    assert_eq!(shop.in_use(), 0.0, "whoever gives up leaves");
    asking.spawn(shop.ask(Role::Product, Priority::Browsing));
    until("the next one to be under way", || {
        shop.hanging.load(SeqCst) == 33
    })
    .await;
}

#[tokio::test]
async fn switched_off_it_bounds_nothing() {
    let shop = shop(false).await;
    let mut asking = JoinSet::new();
    for _ in 0..50 {
        asking.spawn(shop.ask(Role::Product, Priority::Browsing));
    }
    until("all of them to be under way", || {
        shop.hanging.load(SeqCst) == 50
    })
    .await;
}

#[tokio::test]
async fn who_is_refused_is_told_not_to_try_again_and_that_nobody_is_at_fault() {
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
