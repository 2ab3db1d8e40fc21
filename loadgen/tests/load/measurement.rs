//! The measurement of a shop that replies.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use loadgen::mix::Mix;
use loadgen::{Event, Load, Options, Outcome};
use results::hlog::LatencyKind;
use results::record::{Interval, OrderOutcome};

use crate::stub::{Stub, StubBehavior, load, mix, phase};

fn total(outcome: &Outcome, step: &str) -> u64 {
    let rows = outcome.steps.iter().filter(|r| r.step == step);
    rows.map(|r| r.requests).sum()
}

fn intervals(events: &[Event]) -> Vec<&Interval> {
    let only = events.iter().filter_map(|e| match e {
        Event::Interval(interval) => Some(interval.as_ref()),
        _ => None,
    });
    only.collect()
}

/// Every phase measured, so that the rows contain every step.
fn measured(mut load: Load) -> Load {
    load.phases.iter_mut().for_each(|p| p.measure = true);
    load
}

fn home_only() -> Mix {
    mix("home: { home: 1 }")
}

#[tokio::test(flavor = "multi_thread")]
async fn step_counts_match_the_requests_at_the_shop() {
    let browsing = mix("home: { best_sellers: 1 }\n\
         best_sellers: { product_detail: 1 }\n\
         product_detail: { new_products: 1 }\n\
         new_products: { search_request: 1 }\n\
         search_request: { search_results: 1 }\n\
         search_results: { home: 1 }");
    let shop = Stub::open(StubBehavior::Normal).await;
    let (outcome, events) = shop.run(measured(load(browsing, 60.0, 8))).await;
    for (step, requests) in [
        ("best_sellers", "GET /products category sort=best"),
        ("new_products", "GET /products category sort=new"),
        ("product_detail", "GET /products/*"),
        ("search_results", "GET /products/search"),
    ] {
        assert!(total(&outcome, step) > 10, "{step}");
        assert_eq!(total(&outcome, step), shop.requests(requests), "{step}");
    }
    let fronts = total(&outcome, "home") + total(&outcome, "search_request");
    assert_eq!(fronts, shop.requests("GET /products sort=best"));

    assert!(
        outcome
            .steps
            .iter()
            .all(|r| r.failed == 0 && r.ok == r.requests)
    );
    let rows: u64 = outcome.steps.iter().map(|r| r.requests).sum();
    let own = &outcome.generator;
    assert_eq!((own.offered, own.sent, own.dropped), (rows, rows, 0));
    // The intervals add up to the totals, both as counts and as histograms.
    let seconds = intervals(&events);
    assert_eq!(seconds.iter().map(|i| i.all.requests).sum::<u64>(), rows);
    assert_eq!(seconds.iter().map(|i| i.sent).sum::<u64>(), rows);
    for i in &seconds {
        assert_eq!(
            i.all.requests,
            i.steps.values().map(|s| s.requests).sum::<u64>()
        );
    }
    for kind in [LatencyKind::Response, LatencyKind::Service] {
        let logged = events.iter().map(|e| match e {
            Event::Histogram(h) if h.kind == kind => h.histogram.len(),
            _ => 0,
        });
        assert_eq!(logged.sum::<u64>(), rows);
    }
    assert!(!outcome.interrupted);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_is_in_the_ledger_with_its_own_key() {
    let shop = Stub::open(StubBehavior::Normal).await;
    let buying = Mix::named("ordering").unwrap();
    let (outcome, events) = shop.run(measured(load(buying, 60.0, 30))).await;
    let orders = total(&outcome, "buy_confirm");
    assert!(orders > 10, "{orders} orders");
    assert_eq!(shop.requests("POST /orders"), orders);
    assert_eq!(outcome.ledger.len() as u64, orders);
    let keys: BTreeSet<_> = shop.keys().into_iter().collect();
    assert_eq!(keys.len() as u64, orders, "no key is used twice");
    for entry in &outcome.ledger {
        assert_eq!(entry.outcome, OrderOutcome::Promised);
        assert!(keys.contains(&entry.key));
        assert_eq!(entry.order_id.as_deref(), Some("o_1"));
        assert_eq!(entry.total_minor, Some(1999));
    }
    let ledger_events = events.iter().filter(|e| matches!(e, Event::Ledger(_)));
    assert_eq!(ledger_events.count() as u64, orders);
    // Authentication is a step of its own: each shopper authenticates once, and new customers register.
    assert!(total(&outcome, "login") > 0 && total(&outcome, "register") > 0);
    assert_eq!(total(&outcome, "register"), shop.requests("POST /users"));
    let logins = total(&outcome, "login") + total(&outcome, "register");
    assert_eq!(logins, shop.requests("POST /users/login"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_measured_phases_have_rows_and_all_phases_are_named() {
    let shop = Stub::open(StubBehavior::Normal).await;
    let (outcome, _) = shop.run(load(home_only(), 100.0, 3)).await;
    assert!(outcome.steps.iter().all(|r| r.phase == "steady"));
    let rows: u64 = outcome.steps.iter().map(|r| r.requests).sum();
    assert!(rows > 0 && rows < outcome.generator.sent);
    let phases: Vec<_> = outcome
        .phases
        .iter()
        .map(|p| (p.name.as_str(), p.from_s, p.to_s, p.measure))
        .collect();
    assert_eq!(
        phases,
        [("warm-up", 0.0, 0.2, false), ("steady", 0.2, 1.0, true)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stall_of_the_shop_delays_everyone_who_arrives_meanwhile() {
    let shop = Stub::open(StubBehavior::Stall(500, 1500)).await;
    let spec = Load {
        phases: vec![phase("steady", 2000, 100.0)],
        session: Duration::from_micros(1),
        ..load(home_only(), 0.0, 1)
    };
    let (outcome, _) = shop.run(spec).await;
    let home = &outcome.steps[0];
    // Half of the shoppers arrive during the stall. They wait for the rest of it, half a second on average. A generator
    // that waits for replies would have sent almost nothing in that time.
    assert!(
        home.requests > 140,
        "{} of about 200 arrived",
        home.requests
    );
    assert!(home.response_us.p90 > 500_000, "{:?}", home.response_us);
    assert!(home.response_us.max > 900_000, "{:?}", home.response_us);
    assert!(home.response_us.p50 < 500_000, "{:?}", home.response_us);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_generator_is_invalid_and_its_lateness_counts_as_response_time() {
    let shop = Stub::open(StubBehavior::Normal).await;
    let late = Options {
        start: Instant::now().checked_sub(Duration::from_secs(2)),
        ..Options::default()
    };
    let spec = Load {
        session: Duration::from_micros(1),
        ..measured(load(home_only(), 100.0, 1))
    };
    let (outcome, _) = shop.run_with(spec, late).await;
    let own = &outcome.generator;
    assert!(own.lateness_us.max > 1_500_000, "{:?}", own.lateness_us);
    assert!(!own.valid);
    assert!(outcome.doubts.iter().any(|d| d.contains("stalled")));
    for row in &outcome.steps {
        assert!(row.response_us.p50 > 1_000_000, "{row:?}");
        assert!(row.service_us.p50 < 1_000_000, "{row:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_connection_is_opened_again_for_each_request() {
    let shop = Stub::open(StubBehavior::Close).await;
    let (outcome, _) = shop.run(measured(load(home_only(), 50.0, 5))).await;
    assert!(
        outcome
            .steps
            .iter()
            .all(|r| r.requests > 0 && r.failed == 0)
    );
    assert_eq!(
        shop.requests("GET /products sort=best"),
        total(&outcome, "home")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn several_workers_send_the_same_load_as_one() {
    let mut sent = Vec::new();
    for workers in [1, 3] {
        let shop = Stub::open(StubBehavior::Normal).await;
        let options = Options {
            workers: std::num::NonZeroUsize::new(workers),
            ..shop.options()
        };
        // One step per session, so that reply times do not change how many steps are begun before the end.
        let spec = Load {
            session: Duration::from_micros(1),
            ..load(home_only(), 100.0, 1)
        };
        let (outcome, events) = shop.run_with(spec, options).await;
        assert_eq!(
            outcome.generator.sent,
            shop.requests("GET /products sort=best")
        );
        let times: Vec<_> = intervals(&events).iter().map(|i| i.t_s).collect();
        assert!(times.windows(2).all(|w| w[0] < w[1]), "{times:?}");
        sent.push(outcome.generator.sent);
    }
    assert_eq!(sent[0], sent[1]);
}
