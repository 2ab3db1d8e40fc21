//! What clients of a service see of its faults, for each kind.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use shop_contract::faults::{FaultEffect, FaultOrder, Only};
use shop_resilience::Deadline;
use shop_testkit::{metric, until};

use crate::target::{LEN, Target, page, receive};
use crate::{hits, hits_in_metrics, is_active_in_metrics, latency, order};

async fn with(effect: FaultEffect) -> Target {
    let target = Target::start().await;
    target.kit.faults().inject(order(effect)).unwrap();
    target
}

/// Asserts that the page is served without a fault.
async fn assert_healthy(target: &Target) {
    let response = target.read().await;
    assert_eq!(response.status(), Some(200));
    assert_eq!(response.body(), page().as_bytes());
    assert!(response.end.is_ok());
}

#[tokio::test]
async fn latency_delays_a_request_and_then_it_is_served() {
    let delay = Duration::from_millis(80);
    let target = with(latency(delay)).await;
    let start = Instant::now();
    assert_healthy(&target).await;
    assert!(start.elapsed() >= delay);
    assert_eq!((hits(&target.kit), hits_in_metrics(&target.kit)), (1, 1));
}

#[tokio::test]
async fn an_error_is_a_problem_document_and_nothing_is_served() {
    let target = with(FaultEffect::Error { status: 507 }).await;
    let response = target.read().await;
    assert_eq!(response.status(), Some(507));
    let body = std::str::from_utf8(response.body()).unwrap();
    assert!(
        body.contains("urn:doorbuster:problem:injected-fault"),
        "{body}"
    );
    assert_eq!((hits(&target.kit), target.served()), (1, 0));
    let failed = metric("http_server_request_duration_seconds_count").label("error_type", "507");
    let failed = failed.label("http_response_status_code", "507");
    failed.assert_in(&target.kit.metrics().render());
}

#[tokio::test]
async fn an_abort_is_a_reset_without_a_byte_and_leaves_other_connections_alone() {
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
    let response = target.read().await;
    assert!(response.is_empty());
    assert_eq!(response.end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!((hits(&target.kit), target.served()), (1, 0));
    // It has no status, and the same error type as at a client.
    let failed = metric("http_server_request_duration_seconds_count").label("error_type", "reset");
    let failed = failed.label("http_response_status_code", "");
    failed.assert_in(&target.kit.metrics().render());
    assert_eq!(target.status("PUT /shelves/1", &[]).await, Some(204));
    faults.clear_all();
    assert_healthy(&target).await;
}

#[tokio::test]
async fn a_hanging_request_gets_a_503_when_the_fault_ends() {
    let target = with(FaultEffect::Hang).await;
    let hanging = tokio::spawn(receive(target.send("GET /pages/1", &[]).await));
    until("the request to hang", async || hits(&target.kit) == 1).await;
    assert!(!hanging.is_finished());
    target.kit.faults().clear("fault");
    assert_eq!(hanging.await.unwrap().status(), Some(503));
    assert_eq!(target.served(), 0);
    assert_healthy(&target).await;
}

#[tokio::test]
async fn a_hanging_request_ends_with_its_client_or_at_its_deadline() {
    let target = with(FaultEffect::Hang).await;
    let is_active = || {
        let page = target.kit.metrics().render();
        metric("http_server_active_requests").value_in(&page) == 1.0
    };
    let hanging = target.send("GET /pages/1", &[]).await;
    until("the request to hang", async || {
        hits(&target.kit) == 1 && is_active()
    })
    .await;
    drop(hanging);
    until("the request to end", async || !is_active()).await;
    let deadline = [format!("{}: 30", Deadline::HEADER)];
    assert_eq!(target.status("GET /pages/1", &deadline).await, Some(504));
    assert_eq!(hits(&target.kit), 2);
}

#[tokio::test]
async fn a_slow_body_is_complete() {
    let bytes_per_s = 20_000;
    let target = with(FaultEffect::SlowBody { bytes_per_s }).await;
    let start = Instant::now();
    assert_healthy(&target).await;
    assert!(start.elapsed() >= Duration::from_millis(LEN as u64 * 1_000 / bytes_per_s));
    assert_eq!((hits(&target.kit), target.served()), (1, 1));
}

#[tokio::test]
async fn a_truncated_body_has_its_full_content_length_and_half_of_its_bytes() {
    let target = with(FaultEffect::Truncate).await;
    for n in 1..=20 {
        let response = target.read().await;
        assert_eq!(response.content_length(), Some(LEN));
        assert_eq!(response.body(), &page().as_bytes()[..LEN / 2]);
        assert_eq!((hits(&target.kit), target.served()), (n, n as u32));
    }
}

#[tokio::test]
async fn a_corrupted_body_keeps_its_length_and_a_seed_determines_its_bytes() {
    let target = Target::start().await;
    let mut bodies = Vec::new();
    for seed in [7, 7, 8] {
        let effect = FaultEffect::Corrupt;
        let order = FaultOrder {
            seed,
            ..order(effect)
        };
        target.kit.faults().inject(order).unwrap();
        let response = target.read().await;
        assert!(response.end.is_ok());
        assert_eq!(
            (response.status(), response.content_length()),
            (Some(200), Some(LEN))
        );
        assert_eq!(target.kit.faults().clear("fault").unwrap().hits, 1);
        bodies.push(response.body().to_vec());
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
async fn a_response_without_a_body_is_no_hit_of_a_body_fault() {
    for effect in [
        FaultEffect::Truncate,
        FaultEffect::Corrupt,
        FaultEffect::SlowBody { bytes_per_s: 1 },
    ] {
        let target = with(effect).await;
        assert_eq!(target.status("PUT /shelves/1", &[]).await, Some(204));
        assert_eq!(hits(&target.kit), 0);
    }
}

#[tokio::test]
async fn of_two_faults_that_end_a_request_only_the_first_has_a_hit() {
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
    let start = Instant::now();
    assert_eq!(target.read().await.status(), Some(500));
    assert!(start.elapsed() >= Duration::from_millis(30));
    let counted = faults.states().active.into_iter().map(|s| s.hits);
    assert_eq!(counted.collect::<Vec<_>>(), [1, 0, 0, 1]);
}

#[tokio::test]
async fn a_share_of_the_requests_is_affected_and_each_is_counted() {
    let target = Target::start().await;
    let (n, share) = (500.0, 0.3);
    let order = FaultOrder {
        share,
        ..order(FaultEffect::Error { status: 500 })
    };
    target.kit.faults().inject(order).unwrap();
    let mut failed = 0;
    for _ in 0..500 {
        if target.status("PUT /shelves/1", &[]).await == Some(500) {
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
async fn every_kind_ends_by_itself_after_its_time_to_live() {
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
        // The end of the fault releases the request.
        target.read().await;
        until("the end of the fault", async || {
            !is_active_in_metrics(&target.kit)
        })
        .await;
        assert_healthy(&target).await;
    }
}
