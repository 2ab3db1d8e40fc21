//! Hedged reads over real sockets.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use shop_contract::Role;
use shop_contract::operation::{Operation, product};
use shop_kit::Kit;
use shop_kit::client::{Call, CallError};
use shop_kit::config::Switches;
use shop_kit::context::Context;
use shop_testkit::{config, metric, serve, until};

/// A replica that can hang.
#[derive(Clone, Default)]
struct Replica {
    hangs: Arc<AtomicBool>,
    /// The next request hangs, and no other.
    hangs_once: Arc<AtomicBool>,
    received: Arc<AtomicU32>,
    /// Requests that hung and were abandoned by their caller.
    abandoned: Arc<AtomicU32>,
}

/// Counts a request that ends without a response.
struct AbandonedGuard(Arc<AtomicU32>);

impl Drop for AbandonedGuard {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Replica {
    fn router(&self) -> Router {
        let this = self.clone();
        Router::new().fallback(move || {
            let this = this.clone();
            async move {
                this.received.fetch_add(1, SeqCst);
                if this.hangs.load(SeqCst) || this.hangs_once.swap(false, SeqCst) {
                    let _abandoned = AbandonedGuard(Arc::clone(&this.abandoned));
                    pending::<()>().await;
                }
                StatusCode::NO_CONTENT
            }
        })
    }

    fn received(&self) -> u32 {
        self.received.load(SeqCst)
    }
}

async fn caller(replicas: &[Replica], resilience: Switches) -> Kit {
    let mut addresses = Vec::new();
    for replica in replicas {
        addresses.push(serve(replica.router()).await);
    }
    let peers = BTreeMap::from([(Role::Product, addresses)]);
    let mut config = config(Role::Cart, &std::env::temp_dir(), peers);
    config.resilience = resilience;
    Kit::new(config)
}

async fn read(kit: &Kit, call: Call) -> Result<StatusCode, CallError> {
    let answer = kit.call(call, &Context::background()).await;
    answer.map(|a| a.status)
}

fn hedged_read() -> Call {
    Call::to(&product::ONE).path("p-1")
}

/// A change that is wrongly marked as hedged.
const HEDGED_CHANGE: Operation = Operation {
    hedged: true,
    ..product::CHANGE
};

/// Makes enough reads for the hedging delay to be known.
async fn warm_up(kit: &Kit) {
    for _ in 0..200 {
        assert_eq!(read(kit, hedged_read()).await, Ok(StatusCode::NO_CONTENT));
    }
}

fn hedges(kit: &Kit, outcome: &str) -> f64 {
    let hedges = metric("shop_client_hedges_total").label("server_address", "product");
    let hedges = hedges.label("outcome", outcome);
    hedges.value_in(&kit.metrics().render())
}

#[tokio::test]
async fn a_hanging_replica_is_hedged_abandoned_and_then_avoided_without_a_breaker() {
    let replicas = [Replica::default(), Replica::default()];
    let kit = caller(&replicas, Switches::default()).await;
    assert_eq!((hedges(&kit, "won"), hedges(&kit, "lost")), (0.0, 0.0));
    warm_up(&kit).await;
    replicas[0].hangs.store(true, SeqCst);
    let before = replicas[0].received();
    // Twenty reads in a row that avoid the replica: without avoidance, each read meets it with a probability of one half. How
    // many reads it takes until then depends on the speed of the machine.
    let (mut reads, mut in_a_row) = (0, 0);
    while in_a_row < 20 {
        reads += 1;
        assert!(reads <= 1000, "still in use after {reads} reads");
        let received = replicas[0].received();
        assert_eq!(read(&kit, hedged_read()).await, Ok(StatusCode::NO_CONTENT));
        in_a_row = if replicas[0].received() == received {
            in_a_row + 1
        } else {
            0
        };
    }
    let hung = replicas[0].received() - before;
    if hung > 0 {
        // A hedge is lost if the hedge itself hung.
        assert!(hedges(&kit, "won") + hedges(&kit, "lost") > 0.0);
    }
    // A request that was abandoned before it arrived may be counted after its caller has continued.
    until("the end of all hanging requests", async || {
        replicas[0].abandoned.load(SeqCst) >= replicas[0].received() - before
    })
    .await;
    let page = kit.metrics().render();
    let breakers = metric("shop_circuit_breaker_state").find_in(&page);
    assert_eq!(breakers.len(), 2);
    assert!(breakers.iter().all(|b| b.value == 0.0), "{breakers:?}");
}

#[tokio::test]
async fn the_only_replica_gets_the_hedge_as_well() {
    let only = Replica::default();
    let kit = caller(std::slice::from_ref(&only), Switches::default()).await;
    warm_up(&kit).await;
    let won = hedges(&kit, "won");
    // On a slow machine the hedge may be the one that hangs; then the first attempt wins.
    for _ in 0..50 {
        only.hangs_once.store(true, SeqCst);
        let received = only.received();
        assert_eq!(read(&kit, hedged_read()).await, Ok(StatusCode::NO_CONTENT));
        assert!(only.received() - received >= 2);
        if hedges(&kit, "won") > won {
            return;
        }
    }
    panic!("no hedge won");
}

#[tokio::test]
async fn only_reads_marked_as_hedged_are_hedged_and_only_with_hedging_on() {
    let without = Switches {
        hedging: false,
        retries: false,
        ..Switches::default()
    };
    let with = Switches {
        hedging: true,
        ..without
    };
    let change = Call::to(&HEDGED_CHANGE).path("p-1");
    let plain = hedged_read().unhedged();
    for (switches, call) in [(without, hedged_read()), (with, change), (with, plain)] {
        let only = Replica::default();
        let kit = caller(std::slice::from_ref(&only), switches).await;
        warm_up(&kit).await;
        let hedged = || hedges(&kit, "won") + hedges(&kit, "lost");
        let before = hedged();
        only.hangs_once.store(true, SeqCst);
        let deadline = shop_resilience::Deadline::after(kit.now(), Duration::from_millis(300));
        let context = Context {
            deadline: Some(deadline),
            ..Context::background()
        };
        let answer = kit.call(call, &context).await;
        assert_eq!(
            answer.map(|a| a.status).unwrap_err(),
            CallError::Transport(Role::Product, "timeout")
        );
        assert_eq!(hedged(), before);
    }
}
