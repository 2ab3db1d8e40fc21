//! The adaptive limit: its bounds, its order of refusal, and its effect on simulated services.

use std::time::Duration;

use proptest::prelude::*;
use shop_resilience::{LimitConfig, Limiter, Moment, Permit, Priority, Served, Shed, ShedReason};

use crate::virtual_time::{Draws, Later, at_ms, ms};

#[derive(Debug, Clone)]
enum Step {
    Arrive(Priority),
    Depart(prop::sample::Index, u64, Served),
    Wait(u64),
}

fn priorities() -> impl Strategy<Value = Priority> {
    prop::sample::select(Priority::ALL.to_vec())
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let served = prop::sample::select(vec![Served::Ok, Served::Overloaded, Served::Discarded]);
    let step = prop_oneof![
        5 => priorities().prop_map(Step::Arrive),
        4 => (any::<prop::sample::Index>(), 0..2_000_000u64, served)
            .prop_map(|(i, us, served)| Step::Depart(i, us, served)),
        1 => (0..500u64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..800)
}

fn configs() -> impl Strategy<Value = LimitConfig> {
    (0..100u32, 0..20u32, 0..200u32, 0.0..1.0f64).prop_map(|(initial, least, most, share)| {
        LimitConfig {
            initial,
            least,
            most,
            browsing_share: share * 0.95,
            ..LimitConfig::default()
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_limit_stays_in_bounds_and_browsing_is_refused_first(config in configs(), steps in steps()) {
        let mut limiter = Limiter::new(config);
        let least = config.least.max(1);
        let most = config.most.max(least);
        let mut inside: Vec<Permit> = Vec::new();
        let mut now = Moment::ORIGIN;
        for step in steps {
            match step {
                Step::Wait(wait_ms) => now = now + ms(wait_ms),
                Step::Arrive(priority) => {
                    let admitted = Priority::ALL.map(|p| limiter.clone().try_acquire(p).is_ok());
                    // If a request is accepted, one of a higher priority would be too.
                    prop_assert!(admitted.is_sorted_by(|more, less| more >= less), "{admitted:?}");
                    let before = limiter.in_flight();
                    match limiter.try_acquire(priority) {
                        Ok(permit) => {
                            prop_assert!(before < limiter.limit());
                            inside.push(permit);
                        }
                        Err(Shed { reason, limit, in_flight }) => {
                            prop_assert_eq!((limit, in_flight), (limiter.limit(), before));
                            prop_assert_eq!(reason == ShedReason::Full, before >= limit);
                            prop_assert!(before > 0, "an idle service takes anybody in");
                        }
                    }
                }
                Step::Depart(i, us, served) if !inside.is_empty() => {
                    let permit = inside.swap_remove(i.index(inside.len()));
                    limiter.release(permit, now, Duration::from_micros(us), served);
                }
                Step::Depart(..) => {}
            }
            prop_assert_eq!(limiter.in_flight() as usize, inside.len());
            prop_assert!((least..=most).contains(&limiter.limit()), "{}", limiter.limit());
        }
    }
}

#[test]
fn browsing_stops_at_four_fifths_buying_at_19_of_20_and_what_heals_the_shop_at_the_limit() {
    let mut limiter = Limiter::new(LimitConfig::default());
    let mut inside = Vec::new();
    for (priority, expected) in [
        (Priority::Browsing, 51),
        (Priority::Buying, 61),
        (Priority::Critical, 64),
    ] {
        inside.extend(std::iter::from_fn(|| limiter.try_acquire(priority).ok()));
        assert_eq!(inside.len(), expected, "{priority:?}");
        let refused = limiter.try_acquire(priority).map_err(|shed| shed.reason);
        let why = if expected < 64 {
            ShedReason::Reserved
        } else {
            ShedReason::Full
        };
        assert_eq!(refused, Err(why));
    }
}

/// A service that works on `workers` requests at full speed and shares its time among more. Service times are
/// exponentially distributed.
struct Service {
    limiter: Limiter,
    draws: Draws,
    now: Moment,
    under_way: Later<(Permit, Duration)>,
}

impl Service {
    fn new(seed: u64) -> Self {
        Self {
            limiter: Limiter::new(LimitConfig::default()),
            draws: Draws(seed),
            now: at_ms(0),
            under_way: Later::new(),
        }
    }

    /// Requests arrive at a rate for a while; returns how many were accepted, and how many refused.
    fn run(&mut self, rate: f64, lasting: Duration, workers: u32, mean: Duration) -> (u64, u64) {
        let end = self.now + lasting;
        let (mut taken, mut refused) = (0, 0);
        loop {
            let gap = -(1.0 - self.draws.draw()).ln() / rate;
            self.now = self.now + Duration::from_secs_f64(gap);
            while let Some((at, (permit, latency))) = self.under_way.next_until(self.now.min(end)) {
                self.limiter.release(permit, at, latency, Served::Ok);
            }
            if self.now >= end {
                self.now = end;
                return (taken, refused);
            }
            match self.limiter.try_acquire(Priority::Buying) {
                Err(_) => refused += 1,
                Ok(permit) => {
                    taken += 1;
                    let crowding = f64::from(self.limiter.in_flight()) / f64::from(workers);
                    let work = mean.mul_f64(-(1.0 - self.draws.draw()).ln());
                    let latency = work.mul_f64(crowding.max(1.0));
                    self.under_way.add(self.now + latency, (permit, latency));
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn under_overload_the_limit_settles_near_what_the_service_can_work_on(
        workers in 4u32..24,
        seed in any::<u64>(),
    ) {
        let mut service = Service::new(seed);
        let mean = ms(20);
        let capacity = f64::from(workers) / mean.as_secs_f64();
        service.run(capacity * 0.3, Duration::from_secs(20), workers, mean);
        service.run(capacity * 3.0, Duration::from_secs(20), workers, mean);
        let limit = service.limiter.limit();
        prop_assert!(limit >= workers && limit <= workers * 4, "{limit} for {workers}");
        // It still does most of its possible work: refusals do not cost goodput.
        let (taken, _) = service.run(capacity * 3.0, Duration::from_secs(10), workers, mean);
        prop_assert!(taken as f64 > 0.8 * capacity * 10.0, "{taken} of {}", capacity * 10.0);
    }

    #[test]
    fn a_slow_callee_alone_gets_nobody_refused(rate in 10.0..90.0f64, seed in any::<u64>()) {
        let mut service = Service::new(seed);
        service.run(rate, Duration::from_secs(20), 1000, ms(10));
        let (_, refused) = service.run(rate, Duration::from_secs(20), 1000, ms(250));
        prop_assert_eq!(refused, 0);
        prop_assert!(service.limiter.limit() >= 60, "{}", service.limiter.limit());
    }

    #[test]
    fn when_the_overload_is_over_everybody_is_served_again(workers in 4u32..24, seed in any::<u64>()) {
        let mut service = Service::new(seed);
        let mean = ms(20);
        let capacity = f64::from(workers) / mean.as_secs_f64();
        service.run(capacity * 0.3, Duration::from_secs(20), workers, mean);
        service.run(capacity * 5.0, Duration::from_secs(20), workers, mean);
        service.run(capacity * 0.3, Duration::from_secs(10), workers, mean);
        let (taken, refused) = service.run(capacity * 0.3, Duration::from_secs(20), workers, mean);
        prop_assert!(refused * 100 <= taken, "{refused} refused, {taken} taken in");
    }
}

/// Keeps this many requests in flight, all equally quick, for some rounds 10 ms apart.
fn keep_busy(
    limiter: &mut Limiter,
    from_ms: u64,
    rounds: u64,
    under_way: usize,
    latency: Duration,
) {
    let mut inside = Vec::new();
    for round in 0..rounds {
        inside.extend(
            std::iter::from_fn(|| limiter.try_acquire(Priority::Buying).ok()).take(under_way),
        );
        for permit in inside.drain(..) {
            limiter.release(permit, at_ms(from_ms + round * 10), latency, Served::Ok);
        }
    }
}

#[test]
fn the_limit_grows_while_it_is_used_and_requests_stay_quick() {
    let mut limiter = Limiter::new(LimitConfig::default());
    keep_busy(&mut limiter, 0, 1000, 40, ms(5));
    // 40 are half of 80; beyond that nothing is known.
    assert_eq!(limiter.limit(), 82);
}

#[test]
fn the_limit_stays_when_it_is_unused_or_when_requests_are_slow_for_another_reason() {
    let mut limiter = Limiter::new(LimitConfig::default());
    keep_busy(&mut limiter, 0, 1000, 20, ms(5));
    assert_eq!(limiter.limit(), 64, "20 under way");
    keep_busy(&mut limiter, 10_000, 1000, 45, ms(50));
    // One step, by the interval in which it began.
    assert_eq!(limiter.limit(), 65, "45 under way, slow");
}

#[test]
fn latency_is_compared_within_a_priority_only() {
    let mut limiter = Limiter::new(LimitConfig::default());
    for round in 0..1000 {
        let browsing = std::iter::repeat_n((Priority::Browsing, ms(1)), 30);
        let buying = std::iter::repeat_n((Priority::Buying, ms(40)), 30 * (round as usize / 500));
        let inside: Vec<_> = browsing
            .chain(buying)
            .filter_map(|(priority, latency)| Some((limiter.try_acquire(priority).ok()?, latency)))
            .collect();
        for (permit, latency) in inside {
            limiter.release(permit, at_ms(round * 10), latency, Served::Ok);
        }
    }
    assert!(limiter.limit() >= 64, "{}", limiter.limit());
}

#[test]
fn overloaded_results_alone_lower_the_limit() {
    let mut limiter = Limiter::new(LimitConfig::default());
    for k in 0..2000 {
        let permit = limiter
            .try_acquire(Priority::Buying)
            .expect("one at a time");
        limiter.release(permit, at_ms(k * 10), ms(5), Served::Overloaded);
    }
    assert_eq!(limiter.limit(), LimitConfig::default().least);
}

#[test]
fn failures_and_cancellations_do_not_change_the_limit() {
    let mut limiter = Limiter::new(LimitConfig::default());
    let inside: Vec<Permit> =
        std::iter::from_fn(|| limiter.try_acquire(Priority::Critical).ok()).collect();
    for (k, permit) in inside.into_iter().enumerate() {
        limiter.release(
            permit,
            at_ms(k as u64 * 100),
            ms(k as u64),
            Served::Discarded,
        );
    }
    assert_eq!(limiter.limit(), LimitConfig::default().initial);
}

#[test]
fn a_priority_is_known_by_its_name() {
    for priority in Priority::ALL {
        assert_eq!(Priority::from_name(priority.as_str()), Some(priority));
    }
    assert_eq!(Priority::from_name("urgent"), None);
}

#[test]
fn negligible_latency_is_no_congestion() {
    // Full all the time; work took 2 ms when it began.
    let limit_after = |latency: Duration| {
        let mut limiter = Limiter::new(LimitConfig::default());
        for round in 0..600_u64 {
            let mut inside = Vec::new();
            while let Ok(permit) = limiter.try_acquire(Priority::Critical) {
                inside.push(permit);
            }
            let took = if round < 50 { ms(2) } else { latency };
            for permit in inside {
                limiter.release(permit, at_ms(round * 110), took, Served::Ok);
            }
        }
        limiter.limit()
    };
    assert!(limit_after(ms(45)) > 64);
    assert!(limit_after(ms(200)) < 20);
}
