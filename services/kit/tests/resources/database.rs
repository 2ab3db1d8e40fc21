//! A database that is slow, failing, full, locked, or short of connections.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::response::IntoResponse;
use shop_contract::faults::{FaultEffect, FaultOrder};
use shop_kit::faults::FaultRefused;
use shop_kit::problem::ApiError;
use shop_kit::store::StoreError;
use shop_testkit::until;
use sqlx::{AnyConnection, Connection};

use crate::{LONG_MS, Service, order};

const SLOW: FaultEffect = FaultEffect::SlowDatabase {
    delay_us: 20_000,
    jitter_us: 0,
};

async fn service() -> (Service, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Service::open(&folder).await, folder)
}

/// The status that a client gets.
fn status(error: StoreError) -> StatusCode {
    ApiError::from(error).into_response().status()
}

fn code(error: &StoreError) -> String {
    match error {
        StoreError::Sql(e) => {
            let e = e.as_database_error().unwrap_or_else(|| panic!("{error}"));
            e.code().unwrap().into_owned()
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_slow_database_delays_every_piece_of_work_until_the_fault_ends() {
    let (service, _folder) = service().await;
    service.inject(SLOW, 2_000);
    let mut pieces = 0;
    // A piece counts if the fault was active before and after it.
    while service.fault_is_active() {
        let (start, before) = (Instant::now(), service.hits());
        match pieces % 3 {
            0 => service.read().await.unwrap(),
            1 => service.write().await.unwrap(),
            _ => service.transaction().await.unwrap(),
        }
        if service.hits() > before {
            // The end of the fault may have released the last one.
            let waited = start.elapsed() >= Duration::from_millis(20);
            assert!(waited || !service.fault_is_active());
            pieces += 1;
        }
    }
    assert!(pieces >= 3, "{pieces}");
    assert_eq!(service.hits(), pieces);
    service.read().await.unwrap();
    service.transaction().await.unwrap();
    assert_eq!(service.hits(), pieces, "the fault has ended");
}

#[tokio::test]
async fn a_failing_database_fails_a_share_of_the_work_like_a_broken_disk() {
    let (service, _folder) = service().await;
    service
        .try_inject(FaultOrder {
            share: 0.5,
            ..order(FaultEffect::FailingDatabase, LONG_MS)
        })
        .unwrap();
    let mut failed = Vec::new();
    for _ in 0..200 {
        failed.extend(service.read().await.err());
        failed.extend(service.write().await.err());
    }
    // Four standard deviations of Binomial(400, 0.5).
    assert!((160..=240).contains(&failed.len()), "{}", failed.len());
    assert_eq!(service.clear(), failed.len() as u64);
    let error = failed.pop().unwrap();
    let io = if service.is_sqlite() { "10" } else { "58030" };
    assert_eq!(code(&error), io);
    assert!(!error.is_overload());
    assert_eq!(status(error), StatusCode::INTERNAL_SERVER_ERROR);
    for _ in 0..20 {
        service.transaction().await.unwrap();
    }
}

#[tokio::test]
async fn on_a_full_disk_reads_succeed_and_writes_fail_until_the_fault_ends() {
    let (service, _folder) = service().await;
    service.inject(FaultEffect::FullDisk, 2_000);
    let mut failed = 0;
    let start = Instant::now();
    while service.fault_is_active() {
        service.read().await.unwrap();
        for done in [service.write().await, service.transaction().await] {
            if let Err(error) = done {
                let full = if service.is_sqlite() { "13" } else { "53100" };
                assert_eq!(code(&error), full);
                failed += 1;
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(start.elapsed() >= Duration::from_millis(2_000));
    assert!(failed > 0);
    assert_eq!(service.hits(), failed);
    service.write().await.unwrap();
    service.transaction().await.unwrap();
}

/// Whether the write lock is held, as another client of the database finds it.
async fn is_locked(service: &Service) -> bool {
    let url = &service.kit.config().database_url;
    let mut other = AnyConnection::connect(url).await.unwrap();
    let attempt = if service.is_sqlite() {
        "PRAGMA busy_timeout = 0; BEGIN IMMEDIATE; ROLLBACK"
    } else {
        "BEGIN; LOCK TABLE things IN ROW EXCLUSIVE MODE NOWAIT; ROLLBACK"
    };
    let tried = sqlx::raw_sql(attempt).execute(&mut other).await;
    other.close().await.unwrap();
    match tried {
        Ok(_) => false,
        Err(e) => {
            let code = e.as_database_error().unwrap().code().unwrap().into_owned();
            assert!(code == "5" || code == "55P03", "{code}");
            true
        }
    }
}

#[tokio::test]
async fn a_locked_database_has_a_real_lock_reads_succeed_and_writes_wait() {
    let (service, _folder) = service().await;
    let service = Arc::new(service);
    service.inject(FaultEffect::LockedDatabase, LONG_MS);
    until("the lock", async || is_locked(&service).await).await;
    let writing = tokio::spawn({
        let service = service.clone();
        async move { service.write().await }
    });
    until("a hit", async || service.hits() > 0).await;
    service.read().await.unwrap();
    assert!(!writing.is_finished());
    assert_eq!(service.clear(), 1);
    until("its release", async || !is_locked(&service).await).await;
    // On a slow machine the write may have timed out; then the error means overload.
    if let Err(error) = writing.await.unwrap() {
        assert!(error.is_overload(), "{error}");
    }
    service.transaction().await.unwrap();
}

#[tokio::test]
async fn a_lock_is_released_by_itself_after_its_time_to_live() {
    let (service, _folder) = service().await;
    service.inject(FaultEffect::LockedDatabase, 2_000);
    until("the lock", async || is_locked(&service).await).await;
    until("its release", async || !is_locked(&service).await).await;
    assert!(!service.fault_is_active());
    service.write().await.unwrap();
}

#[tokio::test]
async fn two_replicas_with_the_same_lock_fault_each_count_their_own_writes() {
    let folder = tempfile::tempdir().unwrap();
    let replicas = [
        Arc::new(Service::open(&folder).await),
        Arc::new(Service::open(&folder).await),
    ];
    for replica in &replicas {
        replica.inject(FaultEffect::LockedDatabase, LONG_MS);
    }
    for replica in &replicas {
        // Writes that wait are counted only once the replica has noticed the lock.
        until("a hit", async || {
            let write = replica.write();
            let _ = tokio::time::timeout(Duration::from_millis(50), write).await;
            replica.hits() > 0
        })
        .await;
    }
    // One replica releases the lock, and the other one, which waited for it, takes it.
    replicas[0].clear();
    until("the other's lock", async || is_locked(&replicas[1]).await).await;
    replicas[1].clear();
    until("its release", async || !is_locked(&replicas[1]).await).await;
    replicas[0].transaction().await.unwrap();
}

#[tokio::test]
async fn without_connections_work_times_out_until_they_are_released() {
    let (service, _folder) = service().await;
    service.inject(FaultEffect::LeakedConnections { left: 0 }, 6_000);
    let mut refused = None;
    until("a refusal", async || {
        refused = service.read().await.err();
        refused.is_some()
    })
    .await;
    let refused = refused.unwrap();
    assert!(refused.is_overload(), "{refused}");
    assert_eq!(status(refused), StatusCode::SERVICE_UNAVAILABLE);
    assert!(service.hits() > 0);
    service.until_ended().await;
    service.read().await.unwrap();
    service.transaction().await.unwrap();
}

#[tokio::test]
async fn the_remaining_connection_serves_one_piece_after_the_other() {
    let (service, _folder) = service().await;
    let service = Arc::new(service);
    service.inject(FaultEffect::LeakedConnections { left: 1 }, LONG_MS);
    let reader = service.store.reader().clone();
    // While one piece holds the remaining connection, the next one waits. Nothing waits before the others are leaked.
    until("a hit", async || {
        let Ok(_only) = reader.acquire().await else {
            return false;
        };
        let second = tokio::time::timeout(Duration::from_millis(50), reader.acquire()).await;
        drop(second);
        service.hits() > 0
    })
    .await;
    service.read().await.unwrap();
    service.transaction().await.unwrap();
    service.clear();
    let mut together = Vec::new();
    until("all of them", async || {
        together.extend(reader.acquire().await.ok());
        together.len() > 1
    })
    .await;
}

#[tokio::test]
async fn invalid_orders_are_refused_with_advice() {
    let (service, _folder) = service().await;
    let some = |effect| FaultOrder {
        share: 0.5,
        ..order(effect, LONG_MS)
    };
    let slow = FaultEffect::SlowDatabase {
        delay_us: 1,
        jitter_us: 2,
    };
    for (wrong, why) in [
        (order(slow, LONG_MS), "jitter_us"),
        (some(FaultEffect::FullDisk), "share"),
        (some(FaultEffect::LockedDatabase), "share"),
        (
            order(FaultEffect::LeakedConnections { left: 100 }, LONG_MS),
            "leave fewer than",
        ),
    ] {
        match service.try_inject(wrong) {
            Err(FaultRefused::Invalid(m)) if m.contains(why) => {}
            other => panic!("{why}: {other:?}"),
        }
    }
}
