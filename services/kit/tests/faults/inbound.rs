//! What callers of a service meet when it has faults, one kind after the other.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use shop_contract::faults::{FaultEffect, FaultOrder, Only};
use shop_resilience::Deadline;

use crate::target::{LEN, Target, hear, page};
use crate::{hits, is_shown_in_force, latency, order, shown_hits, until};

async fn with(effect: FaultEffect) -> Target {
    let target = Target::start().await;
    target.kit.faults().inject(order(effect)).unwrap();
    target
}

/// That a page is read as it should be.
async fn all_is_well(target: &Target) {
    let heard = target.read().await;
    assert_eq!(heard.status(), Some(200));
    assert_eq!(heard.body(), page().as_bytes());
    assert!(heard.end.is_ok());
}

#[tokio::test]
async fn latency_keeps_a_request_waiting_and_then_it_is_served() {
    let delay = Duration::from_millis(80);
    let target = with(latency(delay)).await;
    let begun = Instant::now();
    all_is_well(&target).await;
    assert!(begun.elapsed() >= delay);
    assert_eq!((hits(&target.kit), shown_hits(&target.kit)), (1, 1));
}

#[tokio::test]
async fn an_error_is_a_problem_like_others_and_nothing_is_served() {
    let target = with(FaultEffect::Error { status: 507 }).await;
    let heard = target.read().await;
    assert_eq!(heard.status(), Some(507));
    let body = std::str::from_utf8(heard.body()).unwrap();
    assert!(
        body.contains("urn:doorbuster:problem:injected-fault"),
        "{body}"
    );
    assert_eq!((hits(&target.kit), target.served()), (1, 0));
    let figures = target.kit.metrics().render();
    assert!(figures.contains("http_response_status_code=\"507\",error_type=\"507\""));
}

#[tokio::test]
async fn an_abort_is_a_reset_without_a_byte_and_spares_other_connections() {
    let target = Target::start().await;
    let only = Only {
        route: Some("GET /pages/{id}".to_owned()),
        ..Only::default()
    };
    let faults = target.kit.faults();
    faults
        .inject(FaultOrder {
            only,
            ..order(FaultEffect::Abort)
        })
        .unwrap();
    let heard = target.read().await;
    assert!(heard.is_nothing());
    assert_eq!(heard.end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!((hits(&target.kit), target.served()), (1, 0));
    // It has no status, and its error is what a client calls it.
    let figures = target.kit.metrics().render();
    assert!(
        figures.contains("http_response_status_code=\"\",error_type=\"reset\""),
        "{figures}"
    );
    assert_eq!(target.ask("PUT /shelves/1", &[]).await, Some(204));
    faults.clear_all();
    all_is_well(&target).await;
}

#[tokio::test]
async fn who_hangs_is_told_so_when_the_fault_is_over() {
    let target = with(FaultEffect::Hang).await;
    let hanging = tokio::spawn(hear(target.send("GET /pages/1", &[]).await));
    until("the request to hang", || hits(&target.kit) == 1).await;
    assert!(!hanging.is_finished());
    target.kit.faults().clear("fault");
    assert_eq!(hanging.await.unwrap().status(), Some(503));
    assert_eq!(target.served(), 0);
    all_is_well(&target).await;
}

#[tokio::test]
async fn who_hangs_and_goes_is_forgotten_and_a_deadline_still_ends_it() {
    let target = with(FaultEffect::Hang).await;
    let under_way = || {
        let page = target.kit.metrics().render();
        let mut lines = page.lines();
        let line = lines.find(|l| l.starts_with("http_server_active_requests{"));
        line.is_some_and(|l| l.ends_with(" 1.0"))
    };
    let hanging = target.send("GET /pages/1", &[]).await;
    until("the request to hang", || {
        hits(&target.kit) == 1 && under_way()
    })
    .await;
    drop(hanging);
    until("the request to be forgotten", || !under_way()).await;
    let hurry = [format!("{}: 30", Deadline::HEADER)];
    assert_eq!(target.ask("GET /pages/1", &hurry).await, Some(504));
    assert_eq!(hits(&target.kit), 2);
}

#[tokio::test]
async fn a_slow_body_comes_whole_in_its_time() {
    let bytes_per_s = 20_000;
    let target = with(FaultEffect::SlowBody { bytes_per_s }).await;
    let begun = Instant::now();
    all_is_well(&target).await;
    assert!(begun.elapsed() >= Duration::from_millis(LEN as u64 * 1_000 / bytes_per_s));
    assert_eq!((hits(&target.kit), target.served()), (1, 1));
}

#[tokio::test]
async fn a_truncated_body_is_announced_in_full_and_half_of_it_comes() {
    let target = with(FaultEffect::Truncate).await;
    for n in 1..=20 {
        let heard = target.read().await;
        assert_eq!(heard.announced(), Some(LEN));
        assert_eq!(heard.body(), &page().as_bytes()[..LEN / 2]);
        assert_eq!((hits(&target.kit), target.served()), (n, n as u32));
    }
}

#[tokio::test]
async fn a_corrupted_body_has_its_length_and_the_same_seed_spoils_the_same_bytes() {
    let target = Target::start().await;
    let mut bodies = Vec::new();
    for seed in [7, 7, 8] {
        let effect = FaultEffect::Corrupt;
        let order = FaultOrder {
            seed,
            ..order(effect)
        };
        target.kit.faults().inject(order).unwrap();
        let heard = target.read().await;
        assert!(heard.end.is_ok());
        assert_eq!((heard.status(), heard.announced()), (Some(200), Some(LEN)));
        assert_eq!(target.kit.faults().clear("fault").unwrap().hits, 1);
        bodies.push(heard.body().to_vec());
    }
    let page = page();
    let wrong = |body: &[u8]| page.bytes().zip(body).filter(|(a, b)| a != *b).count();
    assert!(
        bodies
            .iter()
            .all(|b| b.len() == LEN && wrong(b) == LEN / 100)
    );
    assert_eq!(bodies[0], bodies[1]);
    assert_ne!(bodies[1], bodies[2]);
}

#[tokio::test]
async fn an_answer_without_a_body_cannot_be_spoilt_and_is_no_hit() {
    for effect in [
        FaultEffect::Truncate,
        FaultEffect::Corrupt,
        FaultEffect::SlowBody { bytes_per_s: 1 },
    ] {
        let target = with(effect).await;
        assert_eq!(target.ask("PUT /shelves/1", &[]).await, Some(204));
        assert_eq!(hits(&target.kit), 0);
    }
}

#[tokio::test]
async fn of_two_that_end_a_request_one_does_and_only_that_one_has_a_hit() {
    let target = with(FaultEffect::Error { status: 500 }).await;
    let named = |name: &str, effect| FaultOrder {
        name: name.to_owned(),
        ..order(effect)
    };
    let faults = target.kit.faults();
    let wait = latency(Duration::from_millis(30));
    faults.inject(named("second", FaultEffect::Abort)).unwrap();
    faults.inject(named("third", FaultEffect::Corrupt)).unwrap();
    faults.inject(named("fourth", wait)).unwrap();
    let begun = Instant::now();
    assert_eq!(target.read().await.status(), Some(500));
    assert!(begun.elapsed() >= Duration::from_millis(30));
    let counted = faults.states().active.into_iter().map(|s| s.hits);
    assert_eq!(counted.collect::<Vec<_>>(), [1, 0, 0, 1]);
}

#[tokio::test]
async fn a_share_of_the_requests_is_touched_and_each_of_them_counted() {
    let target = Target::start().await;
    let (n, share) = (500.0, 0.3);
    let order = FaultOrder {
        share,
        ..order(FaultEffect::Error { status: 500 })
    };
    target.kit.faults().inject(order).unwrap();
    let mut failed = 0;
    for _ in 0..500 {
        if target.ask("PUT /shelves/1", &[]).await == Some(500) {
            failed += 1;
        }
    }
    assert_eq!(failed, hits(&target.kit));
    let off = (failed as f64 - n * share).abs();
    assert!(
        off <= 4.0 * f64::sqrt(n * share * (1.0 - share)),
        "{failed}"
    );
}

#[tokio::test]
async fn after_its_time_to_live_every_kind_is_gone_with_nobody_asking() {
    for effect in [
        latency(Duration::from_secs(600)),
        FaultEffect::Error { status: 500 },
        FaultEffect::Abort,
        FaultEffect::Hang,
        FaultEffect::SlowBody { bytes_per_s: 1 },
        FaultEffect::Truncate,
        FaultEffect::Corrupt,
    ] {
        let target = Target::start().await;
        let order = FaultOrder {
            ttl_ms: 50,
            ..order(effect)
        };
        target.kit.faults().inject(order).unwrap();
        // Whoever is held by it is let go.
        target.read().await;
        until("the end", || !is_shown_in_force(&target.kit)).await;
        all_is_well(&target).await;
    }
}
