//! Faults of a service's outbound calls, and how its policies react.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use shop_contract::Role;
use shop_contract::faults::{FaultEffect, FaultOrder, Only};
use shop_contract::operation;
use shop_kit::Kit;
use shop_kit::client::{Answer, Call, CallError};
use shop_kit::config::Switches;
use shop_kit::context::Context;
use shop_resilience::Deadline;
use shop_testkit::{config, metric, serve, until};

use crate::target::{LEN, page};
use crate::{hits, is_active_in_metrics, latency, order};

/// Longer than any attempt takes on a busy machine.
const LONG: Duration = Duration::from_secs(15);
/// Shorter than the attempt takes.
const SHORT: Duration = Duration::from_millis(100);
const NO_POLICIES: Switches = Switches {
    retries: false,
    breakers: false,
    hedging: false,
    bulkheads: false,
    ..Switches::ALL_ON
};

/// A payment service that calls the bank and others.
struct Caller {
    kit: Kit,
    /// Requests that the callee has received.
    received: Arc<AtomicU32>,
}

async fn caller(resilience: Switches) -> Caller {
    let received = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&received);
    let router = Router::new().fallback(move || async move {
        count.fetch_add(1, SeqCst);
        (StatusCode::OK, page())
    });
    let address = serve(router).await;
    let peers = [Role::Bank, Role::Order].map(|role| (role, vec![address.clone()]));
    let folder = std::env::temp_dir();
    let mut config = config(Role::Payment, &folder, BTreeMap::from(peers));
    config.resilience = resilience;
    Caller {
        kit: Kit::new(config),
        received,
    }
}

impl Caller {
    /// A caller with a fault of its calls to the bank.
    async fn with_fault(effect: FaultEffect) -> Self {
        let caller = caller(NO_POLICIES).await;
        caller.inject(to_the_bank(effect));
        caller
    }

    fn inject(&self, order: FaultOrder) {
        self.kit.faults().inject(order).unwrap();
    }

    async fn call(&self, peer: Role, per_try: Duration) -> Result<Answer, CallError> {
        let operation = match peer {
            Role::Bank => &operation::bank::ONE,
            _ => &operation::order::SHOW,
        };
        let call = Call::to(operation).path("c-1").per_try(per_try);
        let deadline = Deadline::after(self.kit.now(), Duration::from_secs(20));
        let context = Context {
            deadline: Some(deadline),
            ..Context::background()
        };
        self.kit.call(call, &context).await
    }

    async fn read(&self) -> Result<(u16, Vec<u8>), CallError> {
        self.read_within(LONG).await
    }

    async fn read_within(&self, per_try: Duration) -> Result<(u16, Vec<u8>), CallError> {
        let answer = self.call(Role::Bank, per_try).await;
        answer.map(|a| (a.status.as_u16(), a.body.to_vec()))
    }

    fn received(&self) -> u32 {
        self.received.load(SeqCst)
    }
}

fn to_the_bank(effect: FaultEffect) -> FaultOrder {
    let only = Only {
        calling: Some(Role::Bank),
        ..Only::default()
    };
    FaultOrder {
        only,
        ..order(effect)
    }
}

fn succeeded() -> Result<(u16, Vec<u8>), CallError> {
    Ok((200, page().into_bytes()))
}

fn failed(how: &'static str) -> Result<(u16, Vec<u8>), CallError> {
    Err(CallError::Transport(Role::Bank, how))
}

#[tokio::test]
async fn latency_delays_a_call_before_it_is_sent() {
    let delay = Duration::from_millis(80);
    let caller = Caller::with_fault(latency(delay)).await;
    let start = Instant::now();
    assert_eq!(caller.read().await, succeeded());
    assert!(start.elapsed() >= delay);
    assert_eq!((hits(&caller.kit), caller.received()), (1, 1));
}

#[tokio::test]
async fn an_interrupted_call_is_never_sent_and_looks_like_a_real_failure() {
    for (effect, per_try, expected) in [
        (FaultEffect::Abort, LONG, "reset"),
        (FaultEffect::Refuse, LONG, "connect"),
        (FaultEffect::Hang, SHORT, "timeout"),
    ] {
        let caller = Caller::with_fault(effect).await;
        let start = Instant::now();
        assert_eq!(caller.read_within(per_try).await, failed(expected));
        // An attempt gives up shortly before its limit.
        let waited = start.elapsed() + Duration::from_millis(5);
        assert!(expected != "timeout" || waited >= per_try);
        assert_eq!((hits(&caller.kit), caller.received()), (1, 0));
        let failed_call = metric("http_client_request_duration_seconds_count");
        let failed_call = failed_call.label("error_type", expected);
        failed_call.assert_in(&caller.kit.metrics().render());
        // Other peers can be called.
        assert_eq!(caller.call(Role::Order, LONG).await.unwrap().status, 200);
        assert_eq!(hits(&caller.kit), 1);
    }
}

#[tokio::test]
async fn an_error_fault_returns_an_injected_response() {
    let caller = Caller::with_fault(FaultEffect::Error { status: 502 }).await;
    let answer = caller.call(Role::Bank, LONG).await.unwrap();
    assert_eq!(answer.status, 502);
    assert_eq!(answer.problem().as_deref(), Some("injected-fault"));
    assert_eq!((hits(&caller.kit), caller.received()), (1, 0));
}

#[tokio::test]
async fn a_hanging_call_continues_when_the_fault_ends() {
    let caller = Arc::new(caller(NO_POLICIES).await);
    caller.inject(to_the_bank(FaultEffect::Hang));
    let call = Call::to(&operation::bank::ONE).path("c-1").per_try(LONG);
    let calling = tokio::spawn({
        let kit = caller.kit.clone();
        async move { kit.call(call, &Context::background()).await }
    });
    until("the call to hang", async || hits(&caller.kit) == 1).await;
    caller.kit.faults().clear_all();
    assert_eq!(calling.await.unwrap().unwrap().status, 503);
    assert_eq!(caller.read().await, succeeded());
}

#[tokio::test]
async fn a_response_body_can_be_slow_truncated_or_corrupted() {
    let bytes_per_s = 20_000;
    let slow = Caller::with_fault(FaultEffect::SlowBody { bytes_per_s }).await;
    let start = Instant::now();
    assert_eq!(slow.read().await, succeeded());
    assert!(start.elapsed() >= Duration::from_millis(LEN as u64 * 1_000 / bytes_per_s));

    let truncated = Caller::with_fault(FaultEffect::Truncate).await;
    assert_eq!(truncated.read().await, failed("reset"));

    let corrupted = Caller::with_fault(FaultEffect::Corrupt).await;
    let (status, body) = corrupted.read().await.unwrap();
    assert_eq!((status, body.len()), (200, LEN));
    let wrong = page().bytes().zip(&body).filter(|(a, b)| a != *b).count();
    assert_eq!(wrong, LEN / 100);

    for caller in [slow, truncated, corrupted] {
        assert_eq!((hits(&caller.kit), caller.received()), (1, 1));
    }
}

#[tokio::test]
async fn a_slow_body_can_exceed_the_limit_of_an_attempt() {
    let caller = Caller::with_fault(FaultEffect::SlowBody { bytes_per_s: 100 }).await;
    assert_eq!(caller.read_within(SHORT).await, failed("timeout"));
}

#[tokio::test]
async fn each_attempt_draws_again_so_retries_help_against_a_share() {
    let resilience = Switches {
        retries: true,
        ..NO_POLICIES
    };
    let caller = caller(resilience).await;
    let share = 0.3;
    caller.inject(FaultOrder {
        share,
        ..to_the_bank(FaultEffect::Refuse)
    });
    let calls = 40;
    let mut failed_calls = 0;
    for _ in 0..calls {
        failed_calls += u64::from(caller.read().await.is_err());
    }
    let retries = metric("shop_client_retries_total").label("server_address", "bank");
    let retries = retries.value_in(&caller.kit.metrics().render()) as u64;
    // Each refused attempt was either retried or the last one of its call.
    assert_eq!(hits(&caller.kit), retries + failed_calls);
    assert_eq!(u64::from(caller.received()), calls - failed_calls);
    let (tries, hits) = ((calls + retries) as f64, hits(&caller.kit) as f64);
    let bounds = 4.0 * f64::sqrt(tries * share * (1.0 - share));
    assert!((hits - tries * share).abs() <= bounds, "{hits} of {tries}");
}

#[tokio::test]
async fn the_breaker_opens_as_for_a_dead_peer() {
    let resilience = Switches {
        breakers: true,
        ..NO_POLICIES
    };
    let caller = caller(resilience).await;
    caller.inject(to_the_bank(FaultEffect::Refuse));
    let mut attempts = 0;
    while caller.read().await != Err(CallError::Open(Role::Bank)) {
        attempts += 1;
        assert!(attempts < 1_000, "the breaker does not open");
    }
    assert_eq!((hits(&caller.kit), caller.received()), (attempts, 0));
}

#[tokio::test]
async fn every_kind_ends_by_itself_after_its_time_to_live() {
    for effect in [
        latency(Duration::from_secs(600)),
        FaultEffect::Error { status: 500 },
        FaultEffect::Abort,
        FaultEffect::Hang,
        FaultEffect::Refuse,
        FaultEffect::SlowBody { bytes_per_s: 1 },
        FaultEffect::Truncate,
        FaultEffect::Corrupt,
    ] {
        let caller = caller(NO_POLICIES).await;
        caller.inject(FaultOrder {
            ttl_ms: 50,
            ..to_the_bank(effect)
        });
        let _ = caller.read().await;
        until("the end of the fault", async || {
            !is_active_in_metrics(&caller.kit)
        })
        .await;
        assert_eq!(caller.read().await, succeeded());
    }
}
