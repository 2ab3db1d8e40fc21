//! Hedged reads between real sockets.

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
use shop_testkit::{config, serve};

use crate::{of, until};

/// A replica that can be told to hang.
#[derive(Clone, Default)]
struct Replica {
    hangs: Arc<AtomicBool>,
    /// The next request hangs, and no other.
    hangs_once: Arc<AtomicBool>,
    asked: Arc<AtomicU32>,
    /// Requests that hung and were given up by their caller.
    given_up: Arc<AtomicU32>,
}

/// Counts a request that ends without an answer.
struct GivenUp(Arc<AtomicU32>);

impl Drop for GivenUp {
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
                this.asked.fetch_add(1, SeqCst);
                if this.hangs.load(SeqCst) || this.hangs_once.swap(false, SeqCst) {
                    let _given_up = GivenUp(Arc::clone(&this.given_up));
                    pending::<()>().await;
                }
                StatusCode::NO_CONTENT
            }
        })
    }

    fn asked(&self) -> u32 {
        self.asked.load(SeqCst)
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

fn look() -> Call {
    Call::to(&product::ONE).path("p-1")
}

/// A change that says of itself that it may be hedged.
const HEDGED_CHANGE: Operation = Operation {
    hedged: true,
    ..product::CHANGE
};

/// Enough reads that it is known how long they take.
async fn warm_up(kit: &Kit) {
    for _ in 0..200 {
        assert_eq!(read(kit, look()).await, Ok(StatusCode::NO_CONTENT));
    }
}

fn hedges(kit: &Kit, outcome: &str) -> f64 {
    let labels = [("server_address", "product"), ("outcome", outcome)];
    of(kit, "shop_client_hedges_total", &labels)
}

#[tokio::test]
async fn a_replica_that_hangs_is_outrun_given_up_and_then_avoided_without_a_breaker() {
    let replicas = [Replica::default(), Replica::default()];
    let kit = caller(&replicas, Switches::default()).await;
    assert_eq!((hedges(&kit, "won"), hedges(&kit, "lost")), (0.0, 0.0));
    warm_up(&kit).await;
    replicas[0].hangs.store(true, SeqCst);
    let before = replicas[0].asked();
    // Twenty reads in a row that leave it alone: one read in two would meet it by chance. How many reads it takes until then
    // depends on how fast this machine is.
    let (mut reads, mut in_a_row) = (0, 0);
    while in_a_row < 20 {
        reads += 1;
        assert!(reads <= 1000, "still asked after {reads} reads");
        let asked = replicas[0].asked();
        assert_eq!(read(&kit, look()).await, Ok(StatusCode::NO_CONTENT));
        in_a_row = if replicas[0].asked() == asked {
            in_a_row + 1
        } else {
            0
        };
    }
    let met = replicas[0].asked() - before;
    if met > 0 {
        // Lost, where it was the hedge that hung.
        assert!(hedges(&kit, "won") + hedges(&kit, "lost") > 0.0);
    }
    // One that was given up before it arrived may be counted later than its caller went on.
    until("the end of all requests that hung", || {
        replicas[0].given_up.load(SeqCst) >= replicas[0].asked() - before
    })
    .await;
    let page = kit.metrics().render();
    let breakers: Vec<&str> = page
        .lines()
        .filter(|l| l.starts_with("shop_circuit_breaker_state{"))
        .collect();
    assert_eq!(breakers.len(), 2);
    assert!(breakers.iter().all(|l| l.ends_with(" 0.0")), "{breakers:?}");
}

#[tokio::test]
async fn the_only_replica_is_asked_a_second_time() {
    let only = Replica::default();
    let kit = caller(std::slice::from_ref(&only), Switches::default()).await;
    warm_up(&kit).await;
    let won = hedges(&kit, "won");
    // On a machine that stalls it may be the hedge that hangs, and then the first try wins.
    for _ in 0..50 {
        only.hangs_once.store(true, SeqCst);
        let asked = only.asked();
        assert_eq!(read(&kit, look()).await, Ok(StatusCode::NO_CONTENT));
        assert!(only.asked() - asked >= 2);
        if hedges(&kit, "won") > won {
            return;
        }
    }
    panic!("no hedge won");
}

#[tokio::test]
async fn only_reads_that_ask_for_it_are_hedged_and_only_where_it_is_on() {
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
    let plain = look().unhedged();
    for (switches, call) in [(without, look()), (with, change), (with, plain)] {
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
