//! Pauses, restarts and slow starts, in virtual time: afterwards the replica always serves again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chaos::ProcessFault::{Pause, Restart, SlowStart};
use results::record::FaultEventKind::{Asked, Ended, InForce};

use crate::shop::{FakeShop, Run, process_fault};

fn run(shop: &Arc<FakeShop>, fault: chaos::Fault) -> Run {
    let mut run = Run::start_checking_every(shop, vec![fault], Duration::from_secs(1));
    run.patience = Duration::from_secs(3600);
    run
}

async fn until_log(shop: &FakeShop, expected: &[&str]) {
    let seen = async {
        while shop.log() != expected {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let limit = Duration::from_secs(10);
    let seen = tokio::time::timeout(limit, seen).await;
    assert!(seen.is_ok(), "{:?} is not {expected:?}", shop.log());
}

#[tokio::test(start_paused = true)]
async fn a_paused_replica_is_resumed_at_the_end_and_its_callers_count_the_attempts_that_waited() {
    let shop = Arc::new(FakeShop {
        attempts: Mutex::new([Some(10), Some(12), Some(12), Some(19)].into()),
        ..FakeShop::default()
    });
    let mut run = run(&shop, process_fault(Pause, 30, Some(4)));
    run.event(Asked).await;
    let in_force = run.event(InForce).await;
    assert_eq!(in_force.detail.as_deref(), Some("paused pid 4711"));
    assert_eq!(run.event(Ended).await.hits, Some(9));
    let rows = run.rows().await;
    assert_eq!((rows[0].kind.as_str(), rows[0].hits), ("pause", 9));
    assert!(rows[0].ended_s >= 34.0, "{:?}", rows[0]);
    // The limit of the backend is shortly after the fault's end.
    assert_eq!(
        shop.log(),
        ["pause for 6s at most: order/0", "resume order/0"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_paused_replica_is_resumed_at_once_when_the_run_stops() {
    let shop = Arc::new(FakeShop::default());
    let mut run = run(&shop, process_fault(Pause, 1, Some(600)));
    run.event(Asked).await;
    run.event(InForce).await;
    run.stop().await;
    assert_eq!(shop.log().last().unwrap(), "resume order/0");
}

#[tokio::test(start_paused = true)]
async fn a_paused_replica_is_resumed_when_the_run_is_dropped() {
    let shop = Arc::new(FakeShop::default());
    let mut run = run(&shop, process_fault(Pause, 1, Some(600)));
    run.event(Asked).await;
    run.event(InForce).await;
    run.abandon().await;
    until_log(
        &shop,
        &["pause for 602s at most: order/0", "resume order/0"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_is_a_stop_and_a_start_at_once() {
    let shop = Arc::new(FakeShop {
        start_takes: Duration::from_secs(2),
        ..FakeShop::default()
    });
    let rows = run(&shop, process_fault(Restart, 5, None)).rows().await;
    assert_eq!(shop.log(), ["stop order/0", "start order/0"]);
    let length = rows[0].ended_s - rows[0].started_s;
    assert!((2.0..3.0).contains(&length), "{:?}", rows[0]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_start_begins_at_once_and_ends_when_the_replica_is_ready() {
    let shop = Arc::new(FakeShop {
        start_takes: Duration::from_secs(1),
        ..FakeShop::default()
    });
    let slow_start = SlowStart {
        delay: Duration::from_secs(5),
    };
    let rows = run(&shop, process_fault(slow_start, 10, None)).rows().await;
    assert_eq!(
        shop.log(),
        ["kill order/0", "start order/0 with a delay of 5s"]
    );
    let length = rows[0].ended_s - rows[0].started_s;
    assert!((6.0..7.0).contains(&length), "{:?}", rows[0]);
    assert_eq!(rows[0].end_error, None);
}

#[tokio::test(start_paused = true)]
async fn a_slow_start_that_ends_early_is_repeated_without_the_delay() {
    let shop = Arc::new(FakeShop::default());
    let slow_start = SlowStart {
        delay: Duration::from_secs(600),
    };
    let mut run = run(&shop, process_fault(slow_start, 1, None));
    run.event(Asked).await;
    run.event(InForce).await;
    until_log(
        &shop,
        &["kill order/0", "start order/0 with a delay of 600s"],
    )
    .await;
    run.stop().await;
    assert_eq!(shop.log()[2..], ["kill order/0", "start order/0"]);
}
