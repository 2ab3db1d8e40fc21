//! The drawn shares and delays, without a clock.

use http::Method;
use shop_contract::Role;
use shop_contract::faults::Only;

use super::*;
use crate::telemetry::metrics::Metrics;

const MS: u64 = 1_000;

fn fault(share: f64, only: Only, effect: FaultEffect) -> (RequestFault, Instant) {
    let order = FaultOrder {
        name: "fault".to_owned(),
        ttl_ms: 1_000,
        share,
        seed: 7,
        only,
        effect,
    };
    let now = Instant::now();
    let hits = FaultHits::new("fault", &Metrics::new("bank", "bank-0"));
    let ends = now + Duration::from_millis(order.ttl_ms);
    (RequestFault::new(&order, ends, hits), now)
}

fn latency(delay_us: u64, jitter_us: u64, distribution: Distribution) -> FaultEffect {
    FaultEffect::Latency {
        delay_us,
        jitter_us,
        distribution,
    }
}

fn get(template: &str) -> RequestInfo<'_> {
    RequestInfo::served(&Method::GET, template, None, None)
}

/// The delays of 10,000 requests, sorted.
fn delays(share: f64, effect: FaultEffect) -> Vec<Duration> {
    let (fault, now) = fault(share, Only::default(), effect);
    let asked = (0..10_000).filter_map(|_| fault.inject(now, &get("/")));
    let mut delays: Vec<Duration> = asked
        .map(|injection| match injection.action {
            FaultAction::Delay(delay) => delay,
            other => panic!("{other:?}"),
        })
        .collect();
    delays.sort();
    delays
}

fn mean_us(delays: &[Duration]) -> f64 {
    delays.iter().map(|d| d.as_micros() as f64).sum::<f64>() / delays.len() as f64
}

#[test]
fn a_share_lies_within_four_standard_deviations_of_its_binomial() {
    for share in [0.01, 0.3, 0.5, 0.97] {
        let (fault, now) = fault(share, Only::default(), FaultEffect::Abort);
        let n = 10_000.0;
        let injected = (0..10_000).filter(|_| fault.inject(now, &get("/")).is_some());
        let off = (injected.count() as f64 - n * share).abs();
        assert!(off <= 4.0 * (n * share * (1.0 - share)).sqrt(), "{share}");
    }
    let all = delays(1.0, latency(1, 0, Distribution::Uniform));
    assert_eq!(all.len(), 10_000, "100 % is every one");
}

#[test]
fn the_median_delay_is_the_configured_one() {
    let (delay, jitter) = (300.0, 100.0);
    for (distribution, median) in [
        (Distribution::Uniform, delay),
        (Distribution::Normal, delay),
        (Distribution::Exponential, delay + jitter * f64::ln(2.0)),
    ] {
        let delays = delays(1.0, latency(300 * MS, 100 * MS, distribution));
        let p50 = delays[delays.len() / 2].as_secs_f64() * 1e3;
        // Ten thousand draws come within 4 ms.
        assert!(
            (p50 - median).abs() < 4.0,
            "{distribution:?}: {p50} for {median}"
        );
    }
}

#[test]
fn delays_have_the_shape_of_their_distribution() {
    let of = |distribution| delays(1.0, latency(300 * MS, 100 * MS, distribution));
    let ms = Duration::from_millis;

    let uniform = of(Distribution::Uniform);
    assert!(uniform[0] >= ms(200) && uniform[9_999] <= ms(400));
    // A quarter of them in each quarter.
    assert!(uniform[2_500].abs_diff(ms(250)) < ms(4));
    assert!(uniform[7_500].abs_diff(ms(350)) < ms(4));

    let normal = of(Distribution::Normal);
    // One standard deviation to either side.
    assert!(normal[1_587].abs_diff(ms(200)) < ms(8));
    assert!(normal[8_413].abs_diff(ms(400)) < ms(8));

    let exponential = of(Distribution::Exponential);
    assert!(exponential[0] >= ms(300));
    assert!((mean_us(&exponential) - 400_000.0).abs() < 4_000.0);
    assert!(exponential[9_000].abs_diff(ms(300) + ms(100).mul_f64(f64::ln(10.0))) < ms(15));

    let wide = delays(1.0, latency(10 * MS, 100 * MS, Distribution::Normal));
    assert_eq!(wide[0], Duration::ZERO, "no delay is negative");
}

#[test]
fn a_fault_does_nothing_after_its_time_to_live() {
    let (fault, now) = fault(1.0, Only::default(), FaultEffect::Hang);
    let at = |ms| fault.inject(now + Duration::from_millis(ms), &get("/"));
    assert!(at(999).is_some());
    assert!(at(1_000).is_none());
}

#[test]
fn a_seed_gives_the_same_draws_whatever_other_requests_come() {
    let only = || Only {
        route: Some("/orders".to_owned()),
        ..Only::default()
    };
    let effect = || latency(300 * MS, 100 * MS, Distribution::Exponential);
    let outcomes = |others: usize| {
        let (fault, now) = fault(0.4, only(), effect());
        let mut outcomes = Vec::new();
        for _ in 0..200 {
            for _ in 0..others {
                assert!(fault.inject(now, &get("/products")).is_none());
            }
            outcomes.push(fault.inject(now, &get("/orders")).map(|t| t.action));
        }
        outcomes
    };
    assert_eq!(outcomes(0), outcomes(3));
}

#[test]
fn every_kind_of_request_fault_has_an_action() {
    let kinds = [
        (FaultEffect::Error { status: 503 }, FaultAction::Error(503)),
        (FaultEffect::Abort, FaultAction::Abort),
        (FaultEffect::Hang, FaultAction::Hang),
        (FaultEffect::Refuse, FaultAction::Refuse),
        (
            FaultEffect::SlowBody { bytes_per_s: 9 },
            FaultAction::SlowBody(9),
        ),
        (FaultEffect::Truncate, FaultAction::Truncate),
        (FaultEffect::Corrupt, FaultAction::Corrupt),
    ];
    for (effect, action) in kinds {
        let calling = Only {
            calling: Some(Role::Bank),
            ..Only::default()
        };
        let (fault, now) = fault(1.0, calling, effect);
        let call = RequestInfo::calling(Role::Bank, &Method::GET, "/", Role::Payment, None);
        assert_eq!(fault.inject(now, &call).map(|t| t.action), Some(action));
    }
}
