//! The schedule returns every fault once and in order, and its draws depend only on names and seed.

use std::collections::BTreeSet;
use std::time::Duration;

use chaos::{Begin, Fault, FaultKind, ProcessFault, Schedule, ServiceFault, Target, Transition};
use proptest::prelude::*;
use shop_contract::faults::{Distribution, FaultEffect};

fn millis(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

/// Faults on a coarse grid of times, so that many of them coincide.
fn faults() -> impl Strategy<Value = Vec<Fault>> {
    let one = (0u64..8, 0u64..4, any::<bool>());
    prop::collection::vec(one, 0..12).prop_map(|list| {
        list.into_iter()
            .enumerate()
            .map(|(i, (at, length, kill))| {
                let length = Duration::from_millis(length * 100);
                Fault {
                    name: format!("fault-{i}"),
                    begins: Begin::At(Duration::from_millis(at * 100)),
                    lasts: (!kill).then_some(length),
                    target: Target {
                        replica: kill.then_some(0),
                        ..Target::role("order")
                    },
                    kind: if kill {
                        FaultKind::Process(ProcessFault::Kill { restart: length })
                    } else {
                        FaultKind::Service(ServiceFault {
                            share: 0.1,
                            ..ServiceFault::on_all(FaultEffect::Latency {
                                delay_us: 3_000,
                                jitter_us: 7,
                                distribution: Distribution::Uniform,
                            })
                        })
                    },
                }
            })
            .collect()
    })
}

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_fault_begins_once_and_ends_once_in_order_of_time(faults in faults(), seed: u64) {
        let mut schedule = Schedule::new(faults.clone(), seed);
        let transitions = schedule.due(Duration::MAX);
        prop_assert_eq!(schedule.next_at(), None);
        prop_assert!(transitions.is_sorted_by_key(Transition::at));
        let mut ahead: BTreeSet<&str> = faults.iter().map(|f| f.name.as_str()).collect();
        let mut active = BTreeSet::new();
        for transition in &transitions {
            let scheduled = transition.scheduled();
            let name = scheduled.fault.name.as_str();
            prop_assert_eq!(schedule.window(name), Some(scheduled.window));
            match transition {
                Transition::Begin(_) => {
                    prop_assert!(ahead.remove(name));
                    active.insert(name);
                }
                Transition::End(_) => prop_assert!(active.remove(name)),
            }
        }
        prop_assert!(ahead.is_empty() && active.is_empty());
    }

    #[test]
    fn faults_end_before_others_begin_at_the_same_time(faults in faults(), seed: u64) {
        let transitions = Schedule::new(faults, seed).due(Duration::MAX);
        for pair in transitions.windows(2) {
            let [Transition::Begin(first), Transition::End(second)] = pair else { continue };
            let same_time = first.window.from == second.window.to;
            prop_assert!(!same_time || second.window.from == second.window.to);
        }
    }

    #[test]
    fn the_result_does_not_depend_on_how_often_due_is_called(
        faults in faults(),
        seed: u64,
        mut times in prop::collection::vec(millis(0..1200), 0..20),
    ) {
        times.sort();
        times.push(Duration::MAX);
        let at_once = Schedule::new(faults.clone(), seed).due(Duration::MAX);
        let mut schedule = Schedule::new(faults, seed);
        let mut in_steps = Vec::new();
        for now in times {
            let due = schedule.due(now);
            prop_assert!(due.iter().all(|transition| transition.at() <= now), "too early");
            prop_assert!(schedule.next_at().is_none_or(|next| next > now), "left behind");
            in_steps.extend(due);
        }
        prop_assert_eq!(in_steps, at_once);
    }

    #[test]
    fn the_order_in_the_file_does_not_matter(faults in faults(), seed: u64) {
        let reversed: Vec<Fault> = faults.iter().rev().cloned().collect();
        let (a, b) = (Schedule::new(faults, seed), Schedule::new(reversed, seed));
        prop_assert_eq!(a.digest_lines(), b.digest_lines());
        prop_assert_eq!(a.scheduled(), b.scheduled());
    }

    #[test]
    fn the_seed_of_a_fault_depends_only_on_its_name_and_the_runs_seed(faults in faults(), seed: u64) {
        let all = Schedule::new(faults.clone(), seed);
        let seeds: BTreeSet<u64> = all.scheduled().iter().map(|s| s.seed).collect();
        prop_assert_eq!(seeds.len(), faults.len(), "two faults share a seed");
        for fault in faults {
            let alone = Schedule::new([fault.clone()], seed).scheduled()[0].clone();
            let with_others = all.scheduled().iter().find(|s| s.fault.name == fault.name);
            prop_assert_eq!(Some(&alone), with_others);
            prop_assert_ne!(alone.seed_at(0), alone.seed_at(1));
            let other_run = Schedule::new([fault], seed.wrapping_add(1));
            prop_assert_ne!(alone.seed, other_run.scheduled()[0].seed);
        }
    }
}

/// Golden: these lines, with their seeds, are part of the digest that identifies a plan, so they must not change between
/// releases.
#[test]
fn the_lines_for_the_plans_digest_are_stable() {
    let faults = [
        Fault {
            name: "order-down".to_owned(),
            begins: Begin::At(Duration::from_secs(30)),
            lasts: None,
            target: Target::replica("order", 1),
            kind: FaultKind::Process(ProcessFault::Kill {
                restart: Duration::from_secs(3),
            }),
        },
        Fault {
            name: "bank-slow".to_owned(),
            begins: Begin::At(Duration::from_secs(12)),
            lasts: Some(Duration::from_secs(8)),
            target: Target::role("bank"),
            kind: FaultKind::Service(ServiceFault {
                share: 0.1,
                ..ServiceFault::on_all(FaultEffect::Latency {
                    delay_us: 300_000,
                    jitter_us: 100_000,
                    distribution: Distribution::Uniform,
                })
            }),
        },
    ];
    assert_eq!(
        Schedule::new(faults, 7).digest_lines(),
        [
            "fault bank-slow kind=latency target=bank from_us=12000000 to_us=20000000 seed=d4d828af44f7ea3b \
             share=0.1 only={} effect={\"kind\":\"latency\",\"delay_us\":300000,\"jitter_us\":100000,\"distribution\":\"uniform\"}",
            "fault order-down kind=kill target=order/1 from_us=30000000 to_us=33000000 seed=0556eafbddae503d \
             restart_us=3000000",
        ]
    );
}
