//! Faults that wait for another fault's end or for a breaker, in virtual time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chaos::{Begin, Breaker, Fault, Observed, Schedule};
use results::record::FaultEventKind::{Asked, Ended, InForce, Refused};

use crate::shop::{FakeShop, Run, kill};

const END: Duration = Duration::from_secs(60);

fn after(fault: Fault, other: &str, wait: u64) -> Fault {
    Fault {
        begins: Begin::After {
            fault: other.to_owned(),
            wait: Duration::from_secs(wait),
        },
        ..fault
    }
}

fn when_open(fault: Fault) -> Fault {
    Fault {
        begins: Begin::When {
            breaker: breaker(),
            wait: Duration::ZERO,
        },
        ..fault
    }
}

fn breaker() -> Breaker {
    Breaker {
        caller: "payment".to_owned(),
        callee: "bank".to_owned(),
    }
}

fn run(shop: &Arc<FakeShop>, faults: Vec<Fault>) -> Run {
    let mut run = Run::start_until(shop, faults, Duration::from_secs(1), END);
    run.patience = Duration::from_secs(3600);
    run
}

fn shop() -> FakeShop {
    FakeShop {
        start_takes: Duration::from_secs(2),
        counts: Mutex::new([Some(0), Some(1)].into()),
        ..FakeShop::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_chained_fault_begins_when_the_other_has_actually_ended() {
    let shop = Arc::new(shop());
    let faults = vec![kill(0, 10, 3), after(kill(1, 0, 5), "order-0-down", 4)];
    let rows = run(&shop, faults).rows().await;
    assert_eq!(rows[0].name, "order-0-down");
    // Killed at 10 s, started at 13 s, ready at 15 s; then four seconds.
    assert!((rows[0].ended_s - 15.0).abs() < 0.01, "{rows:?}");
    assert!((rows[1].started_s - 19.0).abs() < 0.01, "{rows:?}");
    assert!((rows[1].ended_s - 26.0).abs() < 0.01, "{rows:?}");
}

#[tokio::test(start_paused = true)]
async fn a_fault_begins_when_a_breaker_is_seen_open() {
    let shop = Arc::new(FakeShop {
        opens_after: Mutex::new(Some(20)),
        ..shop()
    });
    let rows = run(&shop, vec![when_open(kill(1, 0, 3))]).rows().await;
    // Breakers are queried four times a second.
    assert!((rows[0].started_s - 5.0).abs() < 0.01, "{rows:?}");
    assert_eq!(shop.log(), ["kill order/1", "start order/1"]);
}

#[tokio::test(start_paused = true)]
async fn a_fault_is_skipped_and_has_a_row_if_its_breaker_never_opens() {
    let shop = Arc::new(shop());
    let never = when_open(kill(1, 0, 3));
    let chained = after(kill(0, 0, 3), "order-1-down", 0);
    let mut run = run(&shop, vec![never, chained]);
    for reason in [
        "order-1-down did not end while the load lasted",
        "the breaker payment->bank was not seen open while the load lasted",
    ] {
        let event = run.event(Refused).await;
        assert_eq!(event.detail.as_deref(), Some(reason));
    }
    let rows = run.rows().await;
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|r| r.hits == 0), "{rows:?}");
    assert!(shop.log().is_empty());
}

#[tokio::test(start_paused = true)]
async fn faults_that_wait_for_a_refused_fault_are_skipped() {
    let shop = Arc::new(FakeShop {
        refuse_kill: true,
        ..shop()
    });
    let faults = vec![
        kill(0, 10, 3),
        after(kill(1, 0, 5), "order-0-down", 0),
        after(kill(2, 0, 5), "order-1-down", 0),
    ];
    let mut run = run(&shop, faults);
    run.event(Asked).await;
    run.event(Refused).await;
    let first = run.event(Refused).await;
    assert_eq!(first.fault, "order-1-down");
    assert_eq!(
        first.detail.as_deref(),
        Some("order-0-down was not injected")
    );
    assert_eq!(run.event(Refused).await.fault, "order-2-down");
    let rows = run.rows().await;
    assert_eq!(rows.len(), 3);
    assert!(rows[2].started_s < 11.0, "not at the load's end");
}

#[tokio::test(start_paused = true)]
async fn a_chained_fault_ends_with_the_load() {
    let shop = Arc::new(shop());
    let faults = vec![kill(0, 50, 3), after(kill(1, 0, 30), "order-0-down", 1)];
    let rows = run(&shop, faults).rows().await;
    assert!((rows[1].started_s - 56.0).abs() < 0.01, "{rows:?}");
    // Started at 60 s, ready at 62 s.
    assert!((rows[1].ended_s - 62.0).abs() < 0.01, "{rows:?}");
}

#[tokio::test(start_paused = true)]
async fn on_shutdown_waiting_faults_are_left_out() {
    let shop = Arc::new(shop());
    let faults = vec![kill(0, 10, 30), after(kill(1, 0, 5), "order-0-down", 0)];
    let mut run = run(&shop, faults);
    run.event(Asked).await;
    run.event(InForce).await;
    run.shutdown.cancel();
    run.event(Ended).await;
    let rows = run.rows().await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(shop.log(), ["kill order/0", "start order/0"]);
}

#[test]
fn each_fault_of_a_chain_begins_once() {
    let faults = vec![
        kill(0, 1, 1),
        after(kill(1, 0, 1), "order-0-down", 0),
        after(kill(2, 0, 1), "order-0-down", 2),
    ];
    let mut schedule = Schedule::new(faults, 7).until(END);
    assert!(schedule.is_waiting());
    let s = Duration::from_secs;
    assert_eq!(schedule.due(s(2)).len(), 2);
    let ended = Observed::Ended("order-0-down".to_owned());
    schedule.observe(&ended, s(3));
    assert_eq!(schedule.next_at(), Some(s(3)));
    assert_eq!(schedule.due(s(4)).len(), 2);
    // A repeated observation has no effect.
    schedule.observe(&ended, s(4));
    let rest: Vec<Duration> = schedule
        .due(END)
        .iter()
        .map(chaos::Transition::at)
        .collect();
    assert_eq!(rest, [s(5), s(6)]);
    assert!(!schedule.is_waiting() && schedule.skipped().is_empty());
}

#[test]
fn a_fault_whose_breaker_opens_after_the_load_is_skipped() {
    let mut schedule = Schedule::new([when_open(kill(0, 0, 1))], 7).until(END);
    assert_eq!(schedule.breakers(), [breaker()].into());
    schedule.observe(&Observed::BreakerOpened(breaker()), END);
    let skipped = schedule.skipped();
    assert_eq!(skipped.len(), 1);
    assert_eq!(skipped[0].reason, "it was due after the end of the load");
    assert!(schedule.next_at().is_none() && schedule.breakers().is_empty());
}

/// Golden, like the lines of faults with a fixed time.
#[test]
fn waiting_faults_have_lines_in_the_plans_digest() {
    let faults = [
        kill(0, 1, 1),
        after(kill(1, 0, 1), "order-0-down", 2),
        when_open(kill(2, 0, 1)),
    ];
    let lines = Schedule::new(faults, 7).digest_lines();
    let shown: Vec<String> = lines
        .iter()
        .map(|l| l.split(" seed=").next().unwrap().to_owned())
        .collect();
    assert_eq!(
        shown,
        [
            "fault order-0-down kind=kill target=order/0 from_us=1000000 to_us=2000000",
            "fault order-1-down kind=kill target=order/1 after=order-0-down wait_us=2000000 for_us=1000000",
            "fault order-2-down kind=kill target=order/2 when=payment->bank wait_us=0 for_us=1000000",
        ]
    );
}
