//! The measurement of a shop that fails, and of a load that is stopped early.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use loadgen::mix::Mix;
use loadgen::{Event, Load, Options, Outcome, Plan, Target};
use results::record::OrderOutcome;
use tokio_util::sync::CancellationToken;

use crate::stub::{Stub, StubBehavior, load, mix, phase};

fn ordering(rate: f64) -> Load {
    load(Mix::named("ordering").unwrap(), rate, 30)
}

/// Errors of a step by kind, over all phases.
fn errors(outcome: &Outcome, step: &str, kind: &str) -> u64 {
    let rows = outcome.steps.iter().filter(|r| r.step == step);
    rows.filter_map(|r| r.errors.get(kind)).sum()
}

fn nothing_is_ok(outcome: &Outcome) {
    assert!(!outcome.steps.is_empty());
    for row in &outcome.steps {
        assert_eq!((row.ok, row.failed), (0, row.requests), "{row:?}");
        assert_eq!(row.errors.values().sum::<u64>(), row.failed, "{row:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_every_reply_is_an_error_nothing_is_ok() {
    let shop = Stub::open(StubBehavior::Status(503)).await;
    let (outcome, _) = shop.run(ordering(60.0)).await;
    nothing_is_ok(&outcome);
    assert!(errors(&outcome, "home", "http_503") > 0);
    // No login succeeds, so steps that need an account fail, and each of them tries to log in again.
    assert!(errors(&outcome, "login", "http_503") > 0);
    assert!(errors(&outcome, "shopping_cart", "no_session") > 0);
    assert_eq!(shop.requests("PUT /cart/items/*"), 0);
    // The load was offered and sent as planned, although it failed.
    assert_eq!(outcome.generator.dropped, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_another_shape_is_a_failure() {
    let shop = Stub::open(StubBehavior::WrongJson).await;
    let (outcome, _) = shop.run(ordering(60.0)).await;
    nothing_is_ok(&outcome);
    assert!(errors(&outcome, "home", "bad_answer") > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_does_not_listen_is_a_connect_failure() {
    // A port that was free a moment ago.
    let address: SocketAddr = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let plan = Plan::new(ordering(60.0), 7, 1000);
    let never = CancellationToken::new();
    let run = loadgen::run(&plan, address.into(), Options::default(), never, |_| {});
    let outcome = run.await.unwrap();
    nothing_is_ok(&outcome);
    assert!(errors(&outcome, "home", "connect") > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_reply_breaks_off_has_an_unknown_outcome() {
    let shop = Stub::open(StubBehavior::OrdersBreak).await;
    let (outcome, _) = shop.run(ordering(60.0)).await;
    let orders = shop.requests("POST /orders");
    assert!(orders > 0);
    // Each is sent once: a generator that retries would have placed more orders.
    assert_eq!(outcome.ledger.len() as u64, orders);
    for entry in &outcome.ledger {
        assert_eq!(entry.outcome, OrderOutcome::Unknown);
        assert_eq!((&entry.order_id, entry.user_id.as_str()), (&None, "u_1"));
    }
    let row = outcome
        .steps
        .iter()
        .find(|r| r.step == "buy_confirm")
        .unwrap();
    assert_eq!(
        (row.ok, errors(&outcome, "buy_confirm", "reset")),
        (0, row.requests)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_without_a_reply_times_out_and_counts_with_its_wait() {
    let shop = Stub::open(StubBehavior::OrdersHang).await;
    let timeout = Duration::from_millis(200);
    let spec = Load {
        timeout,
        ..ordering(60.0)
    };
    let (outcome, _) = shop.run(spec).await;
    let row = outcome
        .steps
        .iter()
        .find(|r| r.step == "buy_confirm")
        .unwrap();
    assert_eq!(errors(&outcome, "buy_confirm", "timeout"), row.requests);
    assert!(row.response_us.p50 >= 199_000, "{:?}", row.response_us);
    assert!(!outcome.ledger.is_empty());
    assert!(
        outcome
            .ledger
            .iter()
            .all(|e| e.outcome == OrderOutcome::Unknown)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn arrivals_beyond_max_sessions_are_dropped_and_counted() {
    let shop = Stub::open(StubBehavior::AllHang).await;
    let spec = Load {
        max_sessions: 5,
        timeout: Duration::from_millis(300),
        ..load(mix("home: { home: 1 }"), 100.0, 1)
    };
    let (outcome, _) = shop.run(spec).await;
    let own = &outcome.generator;
    assert!(own.dropped > 0);
    assert_eq!(own.offered, own.sent + own.dropped);
    assert!(!own.valid);
    assert!(
        outcome.doubts.iter().any(|d| d.contains("max_sessions")),
        "{:?}",
        outcome.doubts
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interruption_ends_the_load_at_once_and_keeps_its_measurements() {
    let shop = Stub::open(StubBehavior::OrdersHang).await;
    let spec = Load {
        phases: vec![phase("steady", 60_000, 60.0), phase("later", 60_000, 60.0)],
        timeout: Duration::from_secs(60),
        ..ordering(60.0)
    };
    let plan = Plan::new(spec, 7, 1000);
    let stop = CancellationToken::new();
    let (mut stopped_at, mut seconds) = (None, 0);
    let run = loadgen::run(
        &plan,
        Target::from(shop.address),
        shop.options(),
        stop.clone(),
        |e| {
            // Stop as soon as orders are under way.
            if let Event::Interval(_) = e {
                seconds += 1;
                if shop.requests("POST /orders") > 0 && stopped_at.is_none() {
                    stopped_at = Some(Instant::now());
                    stop.cancel();
                }
            }
        },
    );
    let outcome = run.await.unwrap();
    let took = stopped_at.unwrap().elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(outcome.interrupted && seconds >= 1);
    assert!(outcome.steps.iter().any(|r| r.ok > 0));
    // Orders under way are in the ledger, and not among the replies. An order may be in the ledger without having
    // reached the shop. The reverse is impossible.
    let (ledger, requests) = (outcome.ledger.len() as u64, shop.requests("POST /orders"));
    assert!(ledger >= requests, "{ledger} of {requests}");
    assert!(
        outcome
            .ledger
            .iter()
            .all(|e| e.outcome == OrderOutcome::Unknown)
    );
    assert!(outcome.steps.iter().all(|r| r.step != "buy_confirm"));
    assert_eq!(
        outcome.phases.len(),
        1,
        "the second phase was never entered"
    );
    assert!(outcome.phases[0].to_s < 60.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_run_ends_the_load() {
    let shop = Stub::open(StubBehavior::Normal).await;
    let spec = Load {
        phases: vec![phase("steady", 60_000, 100.0)],
        ..load(mix("home: { home: 1 }"), 0.0, 1)
    };
    let plan = Plan::new(spec, 7, 1000);
    let never = CancellationToken::new();
    let run = loadgen::run(
        &plan,
        Target::from(shop.address),
        shop.options(),
        never,
        |_| {},
    );
    assert!(
        tokio::time::timeout(Duration::from_millis(500), run)
            .await
            .is_err()
    );
    // Wait until the number of requests stops growing.
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let before = shop.requests("GET /products sort=best");
        tokio::time::sleep(Duration::from_millis(300)).await;
        if before == shop.requests("GET /products sort=best") {
            assert!(before > 0);
            break;
        }
        assert!(Instant::now() < deadline, "shoppers still arrive");
    }
}
