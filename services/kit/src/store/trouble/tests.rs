use super::*;
use crate::telemetry::metrics::Metrics;

fn trouble(ill: Ill, share: f64) -> Trouble {
    let metrics = Metrics::new("cart", "cart-0");
    Trouble::new(ill, share, 7, Hits::of("t", &metrics))
}

fn comes(pool: &'static str, waits: bool) -> Work {
    Work::Comes {
        pool,
        writes: pool == "write",
        waits,
    }
}

#[test]
fn delays_lie_within_the_jitter_and_hits_within_the_share() {
    let slow = Ill::Slow {
        delay_us: 50_000,
        jitter_us: 20_000,
    };
    let mut slow = trouble(slow, 0.3);
    let touched: Vec<Touch> = (0..10_000)
        .filter_map(|_| slow.touch(Work::Reads))
        .collect();
    // Four standard deviations of Binomial(10000, 0.3).
    assert!((2816..=3184).contains(&touched.len()), "{}", touched.len());
    let mut waits: Vec<Duration> = touched
        .iter()
        .map(|t| match t {
            Touch::Waits(wait) => *wait,
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
    let mut full = trouble(Ill::FullDisk, 1.0);
    assert_eq!(
        full.touch(Work::Writes),
        Some(Touch::Fails(Failure::FullDisk))
    );
    assert_eq!(full.touch(Work::Reads), None);
    assert_eq!(full.touch(comes("write", true)), None);
}

#[test]
fn a_lock_touches_writes_while_somebody_has_it() {
    let taken = Arc::new(AtomicBool::new(false));
    let mut locked = trouble(Ill::Locked(taken.clone()), 1.0);
    assert_eq!(locked.touch(comes("write", false)), None);
    taken.store(true, Ordering::Relaxed);
    assert_eq!(locked.touch(comes("write", false)), Some(Touch::ByItself));
    assert_eq!(locked.touch(comes("read", true)), None);
    // It was counted when it came.
    assert_eq!(locked.touch(Work::Writes), None);
}

#[tokio::test]
async fn what_is_over_holds_nobody_and_fails_nothing() {
    let troubles = Arc::new(Troubles::new(System::Sqlite));
    let hour = Ill::Slow {
        delay_us: 3_600_000_000,
        jitter_us: 0,
    };
    let slow = troubles.add(trouble(hour, 1.0));
    let failing = troubles.add(trouble(Ill::Failing, 1.0));
    let working = troubles.clone();
    let work = tokio::spawn(async move { working.meet(Work::Writes).await });
    while slow.of.list()[0].1.hits.count() == 0 {
        tokio::task::yield_now().await;
    }
    drop((failing, slow));
    assert!(work.await.unwrap().is_ok());
}

#[test]
fn a_leak_touches_who_waits_for_that_pool() {
    let taken = Arc::new(AtomicBool::new(true));
    let mut leaking = trouble(Ill::Leaking("read", taken), 1.0);
    assert_eq!(leaking.touch(comes("read", true)), Some(Touch::ByItself));
    assert_eq!(leaking.touch(comes("read", false)), None);
    assert_eq!(leaking.touch(comes("write", true)), None);
    assert_eq!(leaking.touch(Work::Reads), None);
}

#[tokio::test]
async fn an_operation_is_told_once_which_faults_touched_it() {
    let troubles = Arc::new(Troubles::new(System::Sqlite));
    let _failing = troubles.add(trouble(Ill::Failing, 1.0));
    let met = Met::default();
    met.noting(async {
        assert!(troubles.meet(Work::Reads).await.is_err());
        assert!(troubles.meet(Work::Writes).await.is_err());
    })
    .await;
    assert_eq!(met.names().as_deref(), Some("t"));
    let untouched = Met::default();
    untouched.noting(async {}).await;
    assert_eq!(untouched.names(), None);
}

#[test]
fn troubles_come_and_go_side_by_side() {
    let troubles = Arc::new(Troubles::new(System::Sqlite));
    assert!(!troubles.any());
    let slow = |delay_us| {
        let jitter_us = 0;
        trouble(
            Ill::Slow {
                delay_us,
                jitter_us,
            },
            1.0,
        )
    };
    let one = troubles.add(slow(1000));
    let two = troubles.add(slow(2000));
    let full = troubles.add(trouble(Ill::FullDisk, 1.0));
    let touch = |work| {
        let (waits, fails) = troubles.touch(work);
        let waits: Vec<u128> = waits.iter().map(|wait| wait.does.as_millis()).collect();
        (waits, fails.map(|failure| failure.does))
    };
    assert_eq!(touch(Work::Writes), (vec![1, 2], Some(Failure::FullDisk)));
    drop(one);
    assert_eq!(touch(Work::Reads), (vec![2], None));
    drop((two, full));
    assert!(!troubles.any());
}
