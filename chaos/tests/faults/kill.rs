//! Kills, in virtual time: a killed replica is always started again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use results::record::FaultEventKind::{Asked, Ended, InForce, Refused};
use results::record::FaultRow;

use crate::shop::{FakeShop, Run, kill};

/// Tokio's timers count whole milliseconds.
const TICK_S: f64 = 0.005;

fn assert_window(row: &FaultRow, from_s: f64, to_s: f64) {
    let near = |a: f64, b: f64| (a - b).abs() < TICK_S;
    assert!(
        near(row.started_s, from_s) && near(row.ended_s, to_s),
        "expected {from_s} to {to_s}: {row:?}"
    );
}

fn run(shop: &Arc<FakeShop>, faults: Vec<chaos::Fault>) -> Run {
    let mut run = Run::start_checking_every(shop, faults, Duration::from_secs(1));
    run.patience = Duration::from_secs(3600);
    run
}

#[tokio::test(start_paused = true)]
async fn a_killed_replica_is_down_until_it_is_ready_again_and_its_callers_count_the_hits() {
    let shop = Arc::new(FakeShop {
        start_takes: Duration::from_secs(2),
        counts: Mutex::new([Some(100), Some(104), Some(130)].into()),
        ..FakeShop::default()
    });
    let mut run = run(&shop, vec![kill(1, 30, 3)]);
    run.event(Asked).await;
    let in_force = run.event(InForce).await;
    assert_eq!(in_force.detail.as_deref(), Some("killed pid 4711"));
    run.until_hits("order-1-down", 4).await;
    let ended = run.event(Ended).await;
    assert_eq!((ended.hits, ended.detail), (Some(30), None));
    let rows = run.rows().await;
    assert_window(&rows[0], 30.0, 35.0);
    assert_eq!(rows[0].target, "order/1");
    assert_eq!(rows[0].hits, 30, "failures before the kill do not count");
    assert_eq!(shop.log(), ["kill order/1", "start order/1"]);
}

#[tokio::test(start_paused = true)]
async fn on_shutdown_killed_replicas_are_started_at_once_and_later_faults_are_left_out() {
    let shop = Arc::new(FakeShop::default());
    let mut run = run(&shop, vec![kill(1, 10, 600), kill(0, 20, 5)]);
    run.event(Asked).await;
    run.event(InForce).await;
    let rows = run.stop().await;
    assert_eq!(rows.len(), 1);
    assert_window(&rows[0], 10.0, 10.0);
    assert_eq!(shop.log(), ["kill order/1", "start order/1"]);
}

#[tokio::test(start_paused = true)]
async fn a_kill_that_fails_is_refused() {
    let shop = Arc::new(FakeShop {
        refuse_kill: true,
        ..FakeShop::default()
    });
    let mut run = run(&shop, vec![kill(0, 1, 3)]);
    run.event(Asked).await;
    let detail = run.event(Refused).await.detail.unwrap();
    assert_eq!(detail, "order/0: operation not permitted");
    let rows = run.rows().await;
    assert_eq!(rows[0].hits, 0);
    assert_window(&rows[0], 1.0, 1.0);
    assert!(
        shop.log().is_empty(),
        "nothing was killed, so nothing is started"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_is_retried() {
    let shop = Arc::new(FakeShop {
        counts: Mutex::new([Some(0)].into()),
        starts_fail: Mutex::new(["port taken", "port taken"].into()),
        ..FakeShop::default()
    });
    let mut run = run(&shop, vec![kill(0, 1, 3)]);
    run.event(Asked).await;
    run.event(InForce).await;
    assert_eq!(run.event(Ended).await.detail, None);
    assert_window(&run.rows().await[0], 1.0, 5.0);
    assert_eq!(shop.log().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_cannot_be_started_is_reported() {
    let shop = Arc::new(FakeShop {
        starts_fail: Mutex::new(["disk full"; 3].into()),
        ..FakeShop::default()
    });
    let mut run = run(&shop, vec![kill(0, 1, 3)]);
    run.event(Asked).await;
    run.event(InForce).await;
    let ended = run.event(Ended).await;
    assert_eq!(
        ended.detail.as_deref(),
        Some("not started again after 3 attempts: order/0: disk full")
    );
    run.rows().await;
}

#[tokio::test(start_paused = true)]
async fn hits_are_unknown_and_count_as_0_without_callers() {
    let shop = Arc::new(FakeShop::default());
    let mut run = run(&shop, vec![kill(0, 1, 3)]);
    run.event(Asked).await;
    run.event(InForce).await;
    let ended = run.event(Ended).await;
    assert_eq!(ended.hits, None);
    assert_eq!(
        ended.detail.as_deref(),
        Some("the number of its hits is unknown")
    );
    assert_eq!(run.rows().await[0].hits, 0);
}

#[tokio::test(start_paused = true)]
async fn faults_run_concurrently_and_their_rows_are_in_order_of_time() {
    let shop = Arc::new(FakeShop::default());
    let run = run(&shop, vec![kill(0, 20, 1), kill(1, 10, 30)]);
    let rows = run.rows().await;
    assert_window(&rows[0], 10.0, 40.0);
    assert_window(&rows[1], 20.0, 21.0);
    assert_eq!(
        shop.log(),
        [
            "kill order/1",
            "kill order/0",
            "start order/0",
            "start order/1"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn statuses_include_future_faults() {
    let shop = Arc::new(FakeShop::default());
    let mut run = run(&shop, vec![kill(0, 20, 1), kill(1, 10, 30)]);
    let first = run.event(Asked).await;
    assert_eq!(first.fault, "order-1-down");
    let statuses = run.statuses();
    let shown: Vec<_> = statuses
        .iter()
        .map(|(name, f)| (name.as_str(), f.kind, f.target.as_str(), f.hits))
        .collect();
    assert_eq!(
        shown,
        [
            ("order-0-down", "kill", "order/0", 0),
            ("order-1-down", "kill", "order/1", 0)
        ]
    );
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_killed_replica_is_started_again_when_the_run_is_dropped() {
    let shop = Arc::new(FakeShop::default());
    let mut run = run(&shop, vec![kill(0, 1, 600)]);
    run.event(Asked).await;
    run.event(InForce).await;
    run.abandon().await;
    let started = async {
        while shop.log().len() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let limit = Duration::from_secs(10);
    assert!(
        tokio::time::timeout(limit, started).await.is_ok(),
        "never started again"
    );
    assert_eq!(shop.log(), ["kill order/0", "start order/0"]);
}
