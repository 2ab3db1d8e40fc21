//! Balancing: the share of each replica, over minutes of virtual traffic.

use std::time::Duration;

use proptest::prelude::*;
use shop_resilience::{BalanceConfig, Balancer, Moment};

use crate::virtual_time::{Draws, Later, at_ms, ms};

/// A replica: how long it takes, and how it answers at a given time.
#[derive(Debug, Clone, Copy)]
struct Replica {
    latency: Duration,
    failing: (Moment, Moment),
    latency_failing: Duration,
}

fn healthy(latency: Duration) -> Replica {
    Replica {
        latency,
        failing: (Moment::ORIGIN, Moment::ORIGIN),
        latency_failing: Duration::ZERO,
    }
}

struct Shop {
    balancer: Balancer,
    replicas: Vec<Replica>,
    draws: Draws,
    under_way: Later<(usize, Duration, bool)>,
    now: Moment,
}

impl Shop {
    fn new(replicas: Vec<Replica>, seed: u64) -> Self {
        Self {
            balancer: Balancer::new(BalanceConfig::default(), replicas.len()),
            replicas,
            draws: Draws(seed),
            under_way: Later::new(),
            now: Moment::ORIGIN,
        }
    }

    /// Requests arrive at a rate per second for a while, as a Poisson process; how many went to each replica.
    fn run(&mut self, rate: f64, lasting: Duration) -> Vec<u64> {
        let end = self.now + lasting;
        let all: Vec<usize> = (0..self.replicas.len()).collect();
        let mut counts = vec![0; all.len()];
        loop {
            let gap = -(1.0 - self.draws.draw()).ln() / rate;
            self.now = self.now + Duration::from_secs_f64(gap);
            if self.now >= end {
                self.now = end;
                return counts;
            }
            while let Some((at, (i, latency, ok))) = self.under_way.next_until(self.now) {
                self.balancer.finished(i, at, latency, ok);
            }
            let draws = (self.draws.draw(), self.draws.draw());
            let i = self
                .balancer
                .pick(self.now, draws, &all, &[])
                .expect("there are replicas");
            counts[i] += 1;
            self.balancer.started(i);
            let r = self.replicas[i];
            let ok = !(r.failing.0..r.failing.1).contains(&self.now);
            // Exponential service times make a slow replica hardest to recognise.
            let mean = if ok { r.latency } else { r.latency_failing };
            let latency = mean.mul_f64(-(1.0 - self.draws.draw()).ln());
            self.under_way.add(self.now + latency, (i, latency, ok));
        }
    }
}

fn share(counts: &[u64], i: usize) -> f64 {
    counts[i] as f64 / counts.iter().sum::<u64>() as f64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn equal_replicas_get_about_equal_shares(
        n in 2usize..7,
        rate in 20.0..400.0f64,
        latency_ms in 1u64..100,
        seed in any::<u64>(),
    ) {
        let mut shop = Shop::new(vec![healthy(ms(latency_ms)); n], seed);
        let counts = shop.run(rate, Duration::from_secs(60));
        for i in 0..n {
            let fair = 1.0 / n as f64;
            prop_assert!(share(&counts, i) > fair * 0.4 && share(&counts, i) < fair * 1.6, "{counts:?}");
        }
    }

    #[test]
    fn a_replica_that_fails_at_once_attracts_no_load_and_the_others_share_it(
        n in 2usize..7,
        rate in 20.0..400.0f64,
        latency_ms in 1u64..300,
        seed in any::<u64>(),
    ) {
        let mut replicas = vec![healthy(ms(latency_ms)); n];
        replicas[0] = Replica {
            failing: (at_ms(10_000), at_ms(70_000)),
            latency_failing: Duration::from_micros(200),
            ..replicas[0]
        };
        let mut shop = Shop::new(replicas, seed);
        shop.run(rate, Duration::from_secs(10));
        let counts = shop.run(rate, Duration::from_secs(60));
        prop_assert!(share(&counts, 0) < 0.05, "{counts:?}");
        for i in 1..n {
            prop_assert!(share(&counts, i) > 0.4 / n as f64, "{counts:?}");
        }
    }

    #[test]
    fn a_replica_that_failed_comes_back_by_itself_and_at_once_when_forgiven(
        n in 2usize..5,
        rate in 20.0..200.0f64,
        forgiven in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let mut replicas = vec![healthy(ms(20)); n];
        replicas[0] = Replica {
            failing: (at_ms(10_000), at_ms(40_000)),
            latency_failing: Duration::from_micros(200),
            ..replicas[0]
        };
        let mut shop = Shop::new(replicas, seed);
        shop.run(rate, Duration::from_secs(41));
        if forgiven {
            shop.balancer.forgive(0);
        } else {
            shop.run(rate, Duration::from_secs(60));
        }
        let counts = shop.run(rate, Duration::from_secs(30));
        prop_assert!(share(&counts, 0) > 0.25 / n as f64, "{counts:?}");
    }

    #[test]
    fn a_slow_replica_gets_less_but_does_not_starve(
        times_slower in 3u32..50,
        rate in 20.0..200.0f64,
        seed in any::<u64>(),
    ) {
        let replicas = vec![healthy(ms(5)), healthy(ms(5) * times_slower), healthy(ms(5))];
        let counts = Shop::new(replicas, seed).run(rate, Duration::from_secs(120));
        prop_assert!(counts[1] > 0, "{counts:?}");
        prop_assert!(share(&counts, 1) < 0.25, "{counts:?}");
    }

    #[test]
    fn a_pick_is_a_candidate_and_not_an_excluded_one_if_there_is_another(
        n in 1usize..8,
        candidates in prop::collection::vec(0usize..10, 0..8),
        exclude in prop::collection::vec(0usize..10, 0..4),
        draws in (any::<f64>(), any::<f64>()),
        ended in prop::collection::vec((0usize..10, 0u64..1000, any::<bool>()), 0..30),
    ) {
        let mut balancer = Balancer::new(BalanceConfig::default(), n);
        for (i, latency_ms, ok) in ended {
            balancer.started(i);
            balancer.started(i);
            balancer.finished(i, at_ms(latency_ms), ms(latency_ms), ok);
        }
        let known: Vec<usize> = candidates.iter().copied().filter(|i| *i < n).collect();
        let fresh = known.iter().any(|i| !exclude.contains(i));
        match balancer.pick(at_ms(2000), draws, &candidates, &exclude) {
            None => prop_assert!(known.is_empty()),
            Some(i) => {
                prop_assert!(known.contains(&i));
                prop_assert!(!fresh || !exclude.contains(&i));
            }
        }
    }
}

#[test]
fn the_load_leaves_the_hanging_one_of_two_replicas() {
    let mut balancer = Balancer::new(BalanceConfig::default(), 2);
    let mut draws = Draws(1);
    let mut to_hung = 0;
    for k in 0..1000 {
        let now = at_ms(k * 10);
        let i = balancer.pick(now, (draws.draw(), draws.draw()), &[0, 1], &[]);
        let i = i.expect("there are two");
        balancer.started(i);
        if i == 0 {
            to_hung += 1;
        } else {
            balancer.finished(1, now + ms(4), ms(4), true);
        }
    }
    // It has no latency yet, so it is held to be quick; but each request that hangs makes it dearer.
    assert!(to_hung < 50, "{to_hung}");
    assert_eq!(balancer.in_flight(0), to_hung);
}

#[test]
fn a_busy_replica_that_begins_to_fail_is_avoided_after_a_few_dozen_requests() {
    let mut replicas = vec![healthy(ms(10)); 2];
    replicas[0] = Replica {
        failing: (at_ms(60_000), at_ms(90_000)),
        latency_failing: Duration::from_micros(200),
        ..replicas[0]
    };
    let mut shop = Shop::new(replicas, 5);
    shop.run(400.0, Duration::from_secs(60));
    let counts = shop.run(400.0, Duration::from_secs(2));
    assert!(counts[0] < 40, "{counts:?}");
}

#[test]
fn occasional_failures_on_both_replicas_do_not_move_the_load() {
    let mut shop = Shop::new(vec![healthy(ms(20)); 2], 3);
    shop.run(50.0, Duration::from_secs(10));
    for span in 0..12 {
        let mut counts = [0, 0];
        for second in 0..5 {
            let strays = (span + second) % 2;
            shop.balancer.started(strays);
            shop.balancer.finished(strays, shop.now, ms(20), false);
            let more = shop.run(50.0, Duration::from_secs(1));
            counts = [counts[0] + more[0], counts[1] + more[1]];
        }
        assert!(
            share(&counts, 0) > 0.25 && share(&counts, 1) > 0.25,
            "{counts:?}"
        );
    }
}

#[test]
fn a_cancelled_request_frees_its_slot_and_reports_nothing() {
    let mut balancer = Balancer::new(BalanceConfig::default(), 1);
    balancer.started(0);
    balancer.abandoned(0);
    balancer.abandoned(0);
    assert_eq!(balancer.in_flight(0), 0);
}

#[test]
fn a_replica_whose_answers_are_always_given_up_becomes_expensive() {
    // A caller that hedges gives the replica that hangs up each time, and takes the answer of the other one.
    let mut balancer = Balancer::new(BalanceConfig::default(), 2);
    let mut draws = Draws(11);
    let mut to_hung = 0;
    for n in 0..1000 {
        let now = at_ms(n * 10);
        let first = balancer
            .pick(now, (draws.draw(), draws.draw()), &[0, 1], &[])
            .unwrap();
        balancer.started(first);
        if first == 0 {
            to_hung += 1;
            balancer.abandoned(0);
            balancer.outlasted(0, now + ms(30), ms(30));
        } else {
            balancer.finished(1, now + ms(4), ms(4), true);
        }
    }
    assert!(to_hung < 20, "{to_hung}");
    assert_eq!(balancer.in_flight(0), 0);
}

#[test]
fn with_balancing_off_a_slow_replica_gets_its_full_share() {
    let mut shop = Shop::new(vec![healthy(ms(5)), healthy(ms(500))], 7);
    shop.balancer = Balancer::new(
        BalanceConfig {
            by_cost: false,
            ..BalanceConfig::default()
        },
        2,
    );
    let counts = shop.run(100.0, Duration::from_secs(60));
    let slow = counts[1] as f64 / counts.iter().sum::<u64>() as f64;
    // Five standard deviations of Binomial(6000, 0.5).
    assert!((0.468..0.532).contains(&slow), "{counts:?}");
}
