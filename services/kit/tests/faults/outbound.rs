//! What a service meets when its own calls suffer, and what its policies make of it.

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
use shop_testkit::{config, serve};

use crate::target::{LEN, page};
use crate::{hits, is_shown_in_force, latency, order, until};

/// Longer than anything takes on a machine that has other things to do.
const PATIENT: Duration = Duration::from_secs(15);
/// For what is to take longer than this.
const HASTY: Duration = Duration::from_millis(100);
const PLAIN: Switches = Switches {
    retries: false,
    breakers: false,
    hedging: false,
    bulkheads: false,
    ..Switches::ALL_ON
};

/// A payment service that calls the bank and others.
struct Caller {
    kit: Kit,
    /// Requests that have reached whoever is called.
    asked: Arc<AtomicU32>,
}

async fn caller(resilience: Switches) -> Caller {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
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
        asked,
    }
}

impl Caller {
    /// A fault of the calls to the bank.
    async fn suffering(effect: FaultEffect) -> Self {
        let caller = caller(PLAIN).await;
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
        self.read_within(PATIENT).await
    }

    async fn read_within(&self, per_try: Duration) -> Result<(u16, Vec<u8>), CallError> {
        let answer = self.call(Role::Bank, per_try).await;
        answer.map(|a| (a.status.as_u16(), a.body.to_vec()))
    }

    fn asked(&self) -> u32 {
        self.asked.load(SeqCst)
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

fn well() -> Result<(u16, Vec<u8>), CallError> {
    Ok((200, page().into_bytes()))
}

fn failed(how: &'static str) -> Result<(u16, Vec<u8>), CallError> {
    Err(CallError::Transport(Role::Bank, how))
}

#[tokio::test]
async fn latency_keeps_a_call_waiting_before_it_is_sent() {
    let delay = Duration::from_millis(80);
    let caller = Caller::suffering(latency(delay)).await;
    let begun = Instant::now();
    assert_eq!(caller.read().await, well());
    assert!(begun.elapsed() >= delay);
    assert_eq!((hits(&caller.kit), caller.asked()), (1, 1));
}

#[tokio::test]
async fn what_ends_a_call_never_reaches_the_callee_and_looks_like_the_real_thing() {
    for (effect, per_try, expected) in [
        (FaultEffect::Abort, PATIENT, "reset"),
        (FaultEffect::Refuse, PATIENT, "connect"),
        (FaultEffect::Hang, HASTY, "timeout"),
    ] {
        let caller = Caller::suffering(effect).await;
        let begun = Instant::now();
        assert_eq!(caller.read_within(per_try).await, failed(expected));
        // The last moment is kept for telling it.
        let waited = begun.elapsed() + Duration::from_millis(5);
        assert!(expected != "timeout" || waited >= per_try);
        assert_eq!((hits(&caller.kit), caller.asked()), (1, 0));
        let figures = caller.kit.metrics().render();
        assert!(figures.contains(&format!("error_type=\"{expected}\"")));
        // Others can be called.
        assert_eq!(caller.call(Role::Order, PATIENT).await.unwrap().status, 200);
        assert_eq!(hits(&caller.kit), 1);
    }
}

#[tokio::test]
async fn an_error_is_an_answer_that_is_made_up() {
    let caller = Caller::suffering(FaultEffect::Error { status: 502 }).await;
    let answer = caller.call(Role::Bank, PATIENT).await.unwrap();
    assert_eq!(answer.status, 502);
    assert_eq!(answer.problem().as_deref(), Some("injected-fault"));
    assert_eq!((hits(&caller.kit), caller.asked()), (1, 0));
}

#[tokio::test]
async fn who_hangs_goes_on_when_the_fault_is_over() {
    let caller = Arc::new(caller(PLAIN).await);
    caller.inject(to_the_bank(FaultEffect::Hang));
    let patient = Call::to(&operation::bank::ONE).path("c-1").per_try(PATIENT);
    let calling = tokio::spawn({
        let kit = caller.kit.clone();
        async move { kit.call(patient, &Context::background()).await }
    });
    until("the call to hang", || hits(&caller.kit) == 1).await;
    caller.kit.faults().clear_all();
    assert_eq!(calling.await.unwrap().unwrap().status, 503);
    assert_eq!(caller.read().await, well());
}

#[tokio::test]
async fn an_answer_is_read_slowly_or_breaks_off_or_is_not_what_was_sent() {
    let bytes_per_s = 20_000;
    let slow = Caller::suffering(FaultEffect::SlowBody { bytes_per_s }).await;
    let begun = Instant::now();
    assert_eq!(slow.read().await, well());
    assert!(begun.elapsed() >= Duration::from_millis(LEN as u64 * 1_000 / bytes_per_s));

    let truncated = Caller::suffering(FaultEffect::Truncate).await;
    assert_eq!(truncated.read().await, failed("reset"));

    let corrupted = Caller::suffering(FaultEffect::Corrupt).await;
    let (status, body) = corrupted.read().await.unwrap();
    assert_eq!((status, body.len()), (200, LEN));
    let wrong = page().bytes().zip(&body).filter(|(a, b)| a != *b).count();
    assert_eq!(wrong, LEN / 100);

    for caller in [slow, truncated, corrupted] {
        assert_eq!((hits(&caller.kit), caller.asked()), (1, 1));
    }
}

#[tokio::test]
async fn a_slow_answer_can_take_longer_than_a_try_may() {
    let caller = Caller::suffering(FaultEffect::SlowBody { bytes_per_s: 100 }).await;
    assert_eq!(caller.read_within(HASTY).await, failed("timeout"));
}

#[tokio::test]
async fn each_try_draws_again_and_retries_cure_what_does_not_touch_them_all() {
    let resilience = Switches {
        retries: true,
        ..PLAIN
    };
    let caller = caller(resilience).await;
    let share = 0.3;
    caller.inject(FaultOrder {
        share,
        ..to_the_bank(FaultEffect::Refuse)
    });
    let calls = 40;
    let mut in_vain = 0;
    for _ in 0..calls {
        in_vain += u64::from(caller.read().await.is_err());
    }
    let page = caller.kit.metrics().render();
    let retries = page.lines().find(|l| {
        l.starts_with("shop_client_retries_total{") && l.contains("server_address=\"bank\"")
    });
    let retries: u64 = retries
        .unwrap()
        .rsplit(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    // Each refusal was either tried again or the call's last one.
    assert_eq!(hits(&caller.kit), retries + in_vain);
    assert_eq!(u64::from(caller.asked()), calls - in_vain);
    let (tries, hits) = ((calls + retries) as f64, hits(&caller.kit) as f64);
    let bounds = 4.0 * f64::sqrt(tries * share * (1.0 - share));
    assert!((hits - tries * share).abs() <= bounds, "{hits} of {tries}");
}

#[tokio::test]
async fn the_breaker_opens_as_it_would_if_nobody_were_there() {
    let resilience = Switches {
        breakers: true,
        ..PLAIN
    };
    let caller = caller(resilience).await;
    caller.inject(to_the_bank(FaultEffect::Refuse));
    let mut tried = 0;
    while caller.read().await != Err(CallError::Open(Role::Bank)) {
        tried += 1;
        assert!(tried < 1_000, "the breaker does not open");
    }
    assert_eq!((hits(&caller.kit), caller.asked()), (tried, 0));
}

#[tokio::test]
async fn after_its_time_to_live_every_kind_is_gone_with_nobody_asking() {
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
        let caller = caller(PLAIN).await;
        caller.inject(FaultOrder {
            ttl_ms: 50,
            ..to_the_bank(effect)
        });
        let _ = caller.read().await;
        until("the end", || !is_shown_in_force(&caller.kit)).await;
        assert_eq!(caller.read().await, well());
    }
}
