//! Faults of CPU, memory and time of day.

use std::collections::BTreeMap;
use std::fs;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use shop_contract::Role;
use shop_contract::faults::{FaultEffect, FaultOrder};
use shop_kit::clock::WallClock;
use shop_kit::faults::FaultRefused;
use shop_kit::{Kit, server};
use shop_testkit::{Identity, ask_get, config, until};

use crate::{LONG_MS, Service, order};

const HOUR_MS: i64 = 3_600_000;

/// The CPU time, in clock ticks, of each thread of this name.
fn ticks(name: &str) -> Vec<u64> {
    let threads = fs::read_dir("/proc/self/task").unwrap().flatten();
    let of_name = threads.filter_map(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).ok()?;
        let (before, after) = stat.rsplit_once(')')?;
        let mut fields = after.split_whitespace().skip(11);
        let ticks = fields.next()?.parse().ok()?;
        (before.split_once('(')?.1 == name).then_some(ticks)
    });
    of_name.collect()
}

/// The resident memory of this process.
fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kilobytes: u64 = line.unwrap().trim_end_matches("kB").trim().parse().unwrap();
    kilobytes * 1024
}

async fn service() -> (Service, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Service::open(&folder).await, folder)
}

#[tokio::test]
async fn a_cpu_fault_keeps_threads_busy_and_counts_requests_as_hits() {
    let (service, _folder) = service().await;
    let routes = Router::new().route("/cart", get(|| async { StatusCode::OK }));
    let routes = server::stack(&service.kit, routes);
    service.inject(FaultEffect::Cpu { threads: 2 }, 5_000);
    for _ in 0..3 {
        ask_get("/cart").send(&routes).await;
    }
    assert_eq!(service.hits(), 3);
    until("two busy threads", async || {
        let busy = ticks("fault-cpu");
        busy.len() == 2 && busy.iter().all(|t| *t > 0)
    })
    .await;
    until("their end", async || ticks("fault-cpu").is_empty()).await;
    assert!(!service.fault_is_active());
    ask_get("/cart").send(&routes).await;
    assert_eq!(service.hits(), 3);
}

#[tokio::test]
async fn a_memory_fault_takes_memory_and_releases_it() {
    const MB: u64 = 1 << 20;
    let (service, _folder) = service().await;
    let before = resident_bytes();
    service.inject(FaultEffect::Memory { bytes: 400 * MB }, 6_000);
    until("its growth", async || resident_bytes() > before + 100 * MB).await;
    until("its end", async || resident_bytes() < before + 50 * MB).await;
    assert!(!service.fault_is_active());
}

#[tokio::test]
async fn clock_skew_changes_timestamps_and_expires_tokens_until_the_fault_ends() {
    let identity = Identity::start().await;
    let folder = tempfile::tempdir().unwrap();
    let peers = BTreeMap::from([(Role::User, vec![identity.address.clone()])]);
    let kit = Kit::new(config(Role::Cart, folder.path(), peers));
    let token = identity.token("u-1");
    kit.verify(&token).await.unwrap();
    let fast = FaultEffect::ClockSkew { by_ms: 2 * HOUR_MS };
    kit.faults().inject(order(fast, 5_000)).unwrap();
    let ahead_ms = kit.unix_ms() - WallClock::default().unix_ms();
    assert!((ahead_ms - 2 * HOUR_MS).abs() < HOUR_MS, "{ahead_ms}");
    // A cached token, and a new one.
    for token in [&token, &identity.token("u-2")] {
        let refused = kit.verify(token).await;
        assert!(refused.is_err(), "{refused:?}");
    }
    until("its end", async || kit.verify(&token).await.is_ok()).await;
    let off_ms = kit.unix_ms() - WallClock::default().unix_ms();
    assert!(off_ms.abs() < HOUR_MS, "{off_ms}");
}

#[tokio::test]
async fn the_store_uses_the_skewed_clock_of_its_service() {
    let (service, _folder) = service().await;
    service.inject(
        FaultEffect::ClockSkew {
            by_ms: -2 * HOUR_MS,
        },
        LONG_MS,
    );
    let behind_ms = WallClock::default().unix_ms() - service.store.unix_ms();
    assert!((behind_ms - 2 * HOUR_MS).abs() < HOUR_MS, "{behind_ms}");
    service.clear();
}

#[tokio::test]
async fn orders_that_would_harm_the_machine_are_refused() {
    let (service, _folder) = service().await;
    let some = FaultOrder {
        share: 0.5,
        ..order(FaultEffect::Cpu { threads: 1 }, LONG_MS)
    };
    for (wrong, why) in [
        (order(FaultEffect::Cpu { threads: 0 }, LONG_MS), "threads"),
        (
            order(FaultEffect::Cpu { threads: 1000 }, LONG_MS),
            "threads",
        ),
        (order(FaultEffect::Memory { bytes: 0 }, LONG_MS), "bytes"),
        (
            order(FaultEffect::Memory { bytes: u64::MAX }, LONG_MS),
            "ask for less",
        ),
        (order(FaultEffect::ClockSkew { by_ms: 0 }, LONG_MS), "by_ms"),
        (
            order(FaultEffect::ClockSkew { by_ms: i64::MIN }, LONG_MS),
            "by_ms",
        ),
        (some, "share"),
    ] {
        match service.try_inject(wrong) {
            Err(FaultRefused::Invalid(m)) if m.contains(why) => {}
            other => panic!("{why}: {other:?}"),
        }
    }
}
