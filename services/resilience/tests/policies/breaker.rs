//! The breaker: against a model made from its documentation, and in single scenarios.

use std::time::Duration;

use proptest::prelude::*;
use shop_resilience::{Admission, Breaker, BreakerConfig, BreakerState, Moment, Pass};

use crate::virtual_time::{at_ms, ms};

#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Ask,
    /// One of the requests in flight ends, successfully or not.
    Report(prop::sample::Index, bool),
    /// One is cancelled, and its pass given back.
    Release(prop::sample::Index),
    /// One vanishes.
    Vanish(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let which = any::<prop::sample::Index>;
    let step = prop_oneof![
        3 => prop_oneof![0..50u64, 50..2_000u64, 2_000..70_000u64].prop_map(Step::Wait),
        8 => Just(Step::Ask),
        6 => (which(), prop::bool::weighted(0.45)).prop_map(|(i, ok)| Step::Report(i, ok)),
        1 => which().prop_map(Step::Release),
        1 => which().prop_map(Step::Vanish),
    ];
    prop::collection::vec(step, 1..400)
}

/// The state of the model.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Model {
    Closed,
    Open {
        until: Moment,
    },
    /// A probe, known by its number, is in flight.
    Probing {
        probe: usize,
        leased_until: Moment,
    },
    /// The probe was given back.
    Probeless,
}

struct UnderWay {
    number: usize,
    pass: Pass,
    /// How often the model had closed when the request was admitted, unless it was a probe.
    closed_era: Option<usize>,
}

proptest! {
    #[test]
    fn it_does_what_it_says_whatever_comes(steps in steps()) {
        let config = BreakerConfig::default();
        let mut breaker = Breaker::new(config);
        let (mut model, mut wait, mut era) = (Model::Closed, config.first_wait, 0);
        let mut results: Vec<(Moment, bool)> = Vec::new();
        let mut under_way: Vec<UnderWay> = Vec::new();
        let (mut now, mut number) = (Moment::ORIGIN, 0);
        for step in steps {
            match step {
                Step::Wait(wait_ms) => now = now + ms(wait_ms),
                Step::Vanish(i) if !under_way.is_empty() => {
                    let i = i.index(under_way.len());
                    under_way.swap_remove(i);
                }
                Step::Release(i) if !under_way.is_empty() => {
                    let i = i.index(under_way.len());
                    let ended = under_way.swap_remove(i);
                    breaker.release(ended.pass);
                    if matches!(model, Model::Probing { probe, .. } if probe == ended.number) {
                        model = Model::Probeless;
                    }
                }
                Step::Ask => {
                    number += 1;
                    let shut_until = match model {
                        Model::Open { until } => until,
                        Model::Probing { leased_until, .. } => leased_until,
                        Model::Closed | Model::Probeless => Moment::ORIGIN,
                    };
                    prop_assert_eq!(breaker.is_available(now), now >= shut_until);
                    prop_assert_eq!(breaker.wants_probe(now), now >= shut_until && model != Model::Closed);
                    match breaker.admit(now) {
                        Admission::No { retry_in } => {
                            prop_assert!(now < shut_until, "refused without reason in {model:?}");
                            prop_assert_eq!(retry_in, shut_until.since(now));
                        }
                        Admission::Yes(pass) => {
                            prop_assert_eq!(model, Model::Closed);
                            under_way.push(UnderWay { number, pass, closed_era: Some(era) });
                        }
                        Admission::Probe(pass) => {
                            prop_assert!(model != Model::Closed && now >= shut_until, "{model:?} at {now:?}");
                            model = Model::Probing { probe: number, leased_until: now + config.probe_lease };
                            under_way.push(UnderWay { number, pass, closed_era: None });
                        }
                    }
                }
                Step::Report(i, ok) if !under_way.is_empty() => {
                    let i = i.index(under_way.len());
                    let ended = under_way.swap_remove(i);
                    let changed = breaker.on_result(now, ended.pass, ok);
                    match model {
                        Model::Probing { probe, .. } if probe == ended.number => {
                            if ok {
                                prop_assert_eq!(changed, Some(BreakerState::Closed));
                                (model, era) = (Model::Closed, era + 1);
                                results.clear();
                            } else {
                                prop_assert_eq!(changed, Some(BreakerState::Open));
                                wait = (wait * 2).min(Duration::from_secs(60));
                                model = Model::Open { until: now + wait };
                            }
                        }
                        Model::Closed if ended.closed_era == Some(era) => {
                            results.push((now, ok));
                            let in_a_row = results.iter().rev().take_while(|(_, ok)| !ok).count();
                            let lately = results.iter().filter(|(at, _)| now.since(*at) < config.window).count();
                            if in_a_row >= 5 {
                                prop_assert_eq!(changed, Some(BreakerState::Open));
                            }
                            if changed.is_some() {
                                prop_assert!(!ok && (in_a_row >= 5 || lately >= 20));
                                wait = config.first_wait;
                                model = Model::Open { until: now + wait };
                            }
                        }
                        // A result from an earlier era.
                        _ => prop_assert_eq!(changed, None),
                    }
                }
                Step::Report(..) | Step::Release(_) | Step::Vanish(_) => {}
            }
            let shown = match model {
                Model::Closed => BreakerState::Closed,
                Model::Open { .. } => BreakerState::Open,
                Model::Probing { .. } | Model::Probeless => BreakerState::HalfOpen,
            };
            prop_assert_eq!(breaker.state(), shown);
        }
    }
}

/// Sends a request that ends at once; false when the breaker did not let it.
fn send(breaker: &mut Breaker, now: Moment, ok: bool) -> bool {
    match breaker.admit(now) {
        Admission::Yes(pass) | Admission::Probe(pass) => {
            breaker.on_result(now, pass, ok);
            true
        }
        Admission::No { .. } => false,
    }
}

fn opened() -> Breaker {
    let mut breaker = Breaker::new(BreakerConfig::default());
    for _ in 0..5 {
        assert!(send(&mut breaker, at_ms(0), false));
    }
    assert_eq!(breaker.state(), BreakerState::Open);
    breaker
}

#[test]
fn a_low_success_rate_opens_the_breaker_without_five_failures_in_a_row() {
    let mut breaker = Breaker::new(BreakerConfig::default());
    let sent = (0..100)
        .take_while(|i| send(&mut breaker, at_ms(i * 50), i % 3 == 0))
        .count();
    assert_eq!(breaker.state(), BreakerState::Open);
    assert_eq!(sent, 20, "so many results make a rate");
}

#[test]
fn half_the_answers_keep_the_breaker_closed() {
    let mut breaker = Breaker::new(BreakerConfig::default());
    assert!((0..1000).all(|i| send(&mut breaker, at_ms(i * 10), i % 2 == 0)));
}

#[test]
fn old_failures_do_not_count_in_the_rate() {
    let mut breaker = Breaker::new(BreakerConfig::default());
    // Two failures of three, but only 15 requests in any ten seconds: too few to judge.
    assert!((0..200).all(|i| send(&mut breaker, at_ms(i * 700), i % 3 == 0)));
}

#[test]
fn the_wait_doubles_to_a_minute_and_starts_anew_after_a_success() {
    let mut breaker = opened();
    let mut now = at_ms(0);
    for expected_s in [1, 2, 4, 8, 16, 32, 60, 60] {
        let Admission::No { retry_in } = breaker.admit(now) else {
            panic!("open")
        };
        assert_eq!(retry_in, Duration::from_secs(expected_s));
        now = now + retry_in;
        assert!(send(&mut breaker, now, false), "the probe");
    }
    now = now + Duration::from_secs(60);
    assert!(send(&mut breaker, now, true));
    assert_eq!(breaker.state(), BreakerState::Closed);
    while send(&mut breaker, now, false) {}
    let Admission::No { retry_in } = breaker.admit(now) else {
        panic!("open")
    };
    assert_eq!(retry_in, Duration::from_secs(1));
}

#[test]
fn a_lost_probe_is_replaced_and_its_late_result_ignored() {
    let mut breaker = opened();
    let Admission::Probe(lost) = breaker.admit(at_ms(1000)) else {
        panic!("its time is over")
    };
    assert!(matches!(breaker.admit(at_ms(10_999)), Admission::No { .. }));
    let Admission::Probe(second) = breaker.admit(at_ms(11_000)) else {
        panic!("the lease is over")
    };
    assert_eq!(breaker.on_result(at_ms(11_001), lost, false), None);
    let closed = breaker.on_result(at_ms(11_002), second, true);
    assert_eq!(closed, Some(BreakerState::Closed));
}

#[test]
fn the_metric_shows_0_closed_1_half_open_2_open() {
    let mut breaker = opened();
    assert_eq!(breaker.state().number(), 2);
    let Admission::Probe(pass) = breaker.admit(at_ms(1000)) else {
        panic!("its time is over")
    };
    assert_eq!(breaker.state().number(), 1);
    breaker.on_result(at_ms(1001), pass, true);
    assert_eq!(breaker.state().number(), 0);
}
