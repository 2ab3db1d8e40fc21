use super::*;
use crate::telemetry::metrics::Metrics;

fn fault(kind: DbFaultKind, share: f64) -> DbFault {
    let metrics = Metrics::new("cart", "cart-0");
    DbFault::new(kind, share, 7, FaultHits::new("t", &metrics))
}

fn acquire(pool: &'static str, waits: bool) -> Work {
    Work::Acquire {
        pool,
        writes: pool == "write",
        waits,
    }
}

#[test]
fn delays_lie_within_the_jitter_and_hits_within_the_share() {
    let slow = DbFaultKind::Slow {
        delay_us: 50_000,
        jitter_us: 20_000,
    };
    let mut slow = fault(slow, 0.3);
    let injected: Vec<DbInjection> = (0..10_000)
        .filter_map(|_| slow.inject(Work::Read))
        .collect();
    // Four standard deviations of Binomial(10000, 0.3).
    assert!(
        (2816..=3184).contains(&injected.len()),
        "{}",
        injected.len()
    );
    let mut waits: Vec<Duration> = injected
        .iter()
        .map(|i| match i {
            DbInjection::Wait(wait) => *wait,
            other => panic!("{other:?}"),
        })
        .collect();
    waits.sort();
    let bounds = Duration::from_millis(30)..=Duration::from_millis(70);
    assert!(waits.iter().all(|w| bounds.contains(w)));
    let median = waits[waits.len() / 2];
    assert!(median.abs_diff(Duration::from_millis(50)) < Duration::from_millis(2));
}

#[test]
fn a_full_disk_fails_writes_alone() {
    let mut full = fault(DbFaultKind::FullDisk, 1.0);
    assert_eq!(
        full.inject(Work::Write),
        Some(DbInjection::Fail(DbFailure::FullDisk))
    );
    assert_eq!(full.inject(Work::Read), None);
    assert_eq!(full.inject(acquire("write", true)), None);
}

#[test]
fn a_lock_affects_writes_while_it_is_held() {
    let taken = Arc::new(AtomicBool::new(false));
    let mut locked = fault(DbFaultKind::Locked(taken.clone()), 1.0);
    assert_eq!(locked.inject(acquire("write", false)), None);
    taken.store(true, Ordering::Relaxed);
    assert_eq!(
        locked.inject(acquire("write", false)),
        Some(DbInjection::Real)
    );
    assert_eq!(locked.inject(acquire("read", true)), None);
    // It was counted when it asked for a connection.
    assert_eq!(locked.inject(Work::Write), None);
}

#[tokio::test]
async fn an_ended_fault_delays_and_fails_nothing() {
    let faults = Arc::new(DbFaults::new(System::Sqlite));
    let hour = DbFaultKind::Slow {
        delay_us: 3_600_000_000,
        jitter_us: 0,
    };
    let slow = faults.add(fault(hour, 1.0));
    let failing = faults.add(fault(DbFaultKind::Failing, 1.0));
    let working = faults.clone();
    let work = tokio::spawn(async move { working.apply(Work::Write).await });
    while slow.faults.list.lock()[0].1.hits.count() == 0 {
        tokio::task::yield_now().await;
    }
    drop((failing, slow));
    assert!(work.await.unwrap().is_ok());
}

#[test]
fn a_leak_affects_work_that_waits_for_its_pool() {
    let taken = Arc::new(AtomicBool::new(true));
    let mut leaking = fault(DbFaultKind::Leaking("read", taken), 1.0);
    assert_eq!(
        leaking.inject(acquire("read", true)),
        Some(DbInjection::Real)
    );
    assert_eq!(leaking.inject(acquire("read", false)), None);
    assert_eq!(leaking.inject(acquire("write", true)), None);
    assert_eq!(leaking.inject(Work::Read), None);
}

#[tokio::test]
async fn an_operation_records_each_fault_once() {
    let faults = Arc::new(DbFaults::new(System::Sqlite));
    let _failing = faults.add(fault(DbFaultKind::Failing, 1.0));
    let hit_by = HitBy::default();
    hit_by
        .record(async {
            assert!(faults.apply(Work::Read).await.is_err());
            assert!(faults.apply(Work::Write).await.is_err());
        })
        .await;
    assert_eq!(hit_by.names().as_deref(), Some("t"));
    let untouched = HitBy::default();
    untouched.record(async {}).await;
    assert_eq!(untouched.names(), None);
}

#[test]
fn several_faults_are_active_independently() {
    let faults = Arc::new(DbFaults::new(System::Sqlite));
    assert!(!faults.any());
    let slow = |delay_us| {
        let jitter_us = 0;
        fault(
            DbFaultKind::Slow {
                delay_us,
                jitter_us,
            },
            1.0,
        )
    };
    let one = faults.add(slow(1000));
    let two = faults.add(slow(2000));
    let full = faults.add(fault(DbFaultKind::FullDisk, 1.0));
    let inject = |work| {
        let (waits, fails) = faults.inject(work);
        let waits: Vec<u128> = waits.iter().map(|wait| wait.value.as_millis()).collect();
        (waits, fails.map(|failure| failure.value))
    };
    assert_eq!(inject(Work::Write), (vec![1, 2], Some(DbFailure::FullDisk)));
    drop(one);
    assert_eq!(inject(Work::Read), (vec![2], None));
    drop((two, full));
    assert!(!faults.any());
}
