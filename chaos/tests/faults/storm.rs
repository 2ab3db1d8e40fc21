//! Storms respect their limits with every seed, and their faults can be written as a scenario.

use std::collections::BTreeSet;
use std::time::Duration;

use chaos::spec::{self, Shop};
use chaos::storm::draws;
use chaos::{Begin, Fault, FaultKind, KINDS, KindInfo, Storm, Window};
use proptest::prelude::*;
use shop_contract::Role;
use shop_contract::faults::Touches;
use syntax::Document;

fn millis(range: std::ops::RangeInclusive<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

/// All kinds that storms draw.
fn drawn() -> Vec<&'static KindInfo> {
    KINDS.iter().filter(|info| draws(info)).collect()
}

prop_compose! {
    fn shops()(counts in prop::collection::vec(1u32..4, Role::ALL.len()), s in 60u64..600) -> Shop {
        let names = Role::ALL.iter().map(|r| r.name().to_owned());
        Shop {
            replicas: names.zip(counts).collect(),
            duration: Duration::from_secs(s),
        }
    }
}

prop_compose! {
    fn storms()(
        from in millis(0..=20_000),
        lasts in millis(1_000..=600_000),
        kinds in prop::sample::subsequence(drawn(), 1..=drawn().len()),
        at_once in 1usize..5,
        every in millis(100..=8_000),
        (least, more) in (millis(1..=3_000), millis(0..=5_000)),
        targets in prop::sample::subsequence(Role::ALL.to_vec(), 1..=Role::ALL.len()),
        cool_down in millis(0..=5_000),
        singles: bool,
    ) -> Storm {
        Storm {
            from, lasts, at_once, every, cool_down, singles,
            kinds,
            length: (least, least + more),
            targets: targets.iter().map(|r| r.name().to_owned()).collect(),
        }
    }
}

fn window(fault: &Fault) -> Window {
    fault.window().expect("a storm's faults have a fixed time")
}

fn read(text: &str, shop: &Shop) -> Vec<Fault> {
    let document = Document::parse("x.yaml", text).unwrap();
    let map = document.root().map().unwrap();
    let (.., list) = map.entries().next().unwrap();
    let faults = spec::read(list, shop);
    document.finish().unwrap_or_else(|e| panic!("{e}\n{text}"));
    faults.unwrap()
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
    fn the_same_seed_gives_the_same_storm_and_another_seed_another(
        storm in storms(), shop in shops(), seed: u64,
    ) {
        let faults = storm.faults(&shop, &[], seed);
        prop_assert_eq!(&faults, &storm.faults(&shop, &[], seed));
        if faults.len() > 3 {
            prop_assert_ne!(faults, storm.faults(&shop, &[], seed.wrapping_add(1)));
        }
    }

    #[test]
    fn the_faults_of_a_storm_can_be_written_and_read(storm in storms(), shop in shops(), seed: u64) {
        let faults = storm.faults(&shop, &[], seed);
        prop_assert_eq!(read(&spec::write_faults(&faults), &shop), faults);
    }

    #[test]
    fn all_limits_are_respected(storm in storms(), shop in shops(), seed: u64) {
        let faults = storm.faults(&shop, &[], seed);
        let end = (storm.from + storm.lasts).min(shop.duration);
        for (i, fault) in faults.iter().enumerate() {
            let now = window(fault);
            prop_assert!(now.from >= storm.from && now.to <= end, "{:?}", fault);
            prop_assert!(storm.kinds.iter().any(|k| k.name == fault.kind.name()));
            prop_assert!(storm.targets.contains(&fault.target.role));
            prop_assert!(fault.target.to.as_ref().is_none_or(|to| storm.targets.contains(to)));
            let earlier = &faults[..i];
            let in_force = earlier.iter().filter(|f| window(f).to >= now.from).count();
            prop_assert!(in_force < storm.at_once, "{:?}", faults);
            for other in earlier.iter().filter(|f| f.target.role == fault.target.role) {
                // So two replicas of a role are never down at once.
                prop_assert!(now.from >= window(other).to + storm.cool_down);
            }
            if fault.kind.takes_replica_down() && shop.replicas[&fault.target.role] == 1 {
                prop_assert!(storm.singles);
                prop_assert!(now.to - now.from <= Duration::from_secs(2));
            }
            if let FaultKind::Service(service) = &fault.kind {
                let database = service.effect.touches() == Touches::Database;
                prop_assert!(!database || fault.target.role != "gateway");
            }
        }
        let names: BTreeSet<&str> = faults.iter().map(|f| f.name.as_str()).collect();
        prop_assert_eq!(names.len(), faults.len());
    }

    #[test]
    fn faults_of_the_scenario_count_and_their_roles_are_left_out(
        storm in storms(), other in storms(), shop in shops(), seed: u64,
    ) {
        let mut written = other.faults(&shop, &[], seed);
        written.truncate(5);
        for (i, fault) in written.iter_mut().enumerate() {
            fault.name = format!("written-{i}");
        }
        // One whose time is not known.
        if let Some(fault) = written.last_mut() {
            fault.begins = Begin::After { fault: "written-0".to_owned(), wait: Duration::ZERO };
        }
        let drawn = storm.faults(&shop, &written, seed);
        for fault in &drawn {
            let now = window(fault);
            let overlaps = |w: Window| w.from <= now.to && now.from <= w.to;
            let with = written.iter().filter_map(Fault::window).filter(|w| overlaps(*w)).count();
            prop_assert!(with < storm.at_once);
            for other in written.iter().filter(|f| f.target.role == fault.target.role) {
                prop_assert!(other.window().is_some_and(|w| !overlaps(w)), "{:?} {:?}", fault, other);
            }
        }
    }
}

#[test]
fn every_kind_can_be_drawn() {
    let replicas = Role::ALL.map(|role| (role.name().to_owned(), 2));
    let shop = Shop {
        replicas: replicas.into(),
        duration: Duration::from_secs(3600),
    };
    for info in drawn() {
        let storm = Storm {
            from: Duration::ZERO,
            lasts: Duration::from_secs(300),
            kinds: vec![info],
            at_once: 3,
            every: Duration::from_secs(1),
            length: (Duration::from_secs(1), Duration::from_secs(2)),
            targets: shop.replicas.keys().cloned().collect(),
            cool_down: Duration::from_secs(1),
            singles: false,
        };
        let faults = storm.faults(&shop, &[], 7);
        assert!(faults.len() > 20, "{}: {}", info.name, faults.len());
        assert!(
            faults.iter().all(|f| f.kind.name() == info.name),
            "{info:?}"
        );
        assert!(
            faults[0]
                .name
                .starts_with(&format!("storm-1-{}-", info.name)),
            "{}",
            faults[0].name
        );
    }
}

#[test]
fn a_storm_draws_the_path_faults_that_affect_all_traffic_and_refuses_the_others() {
    let names: Vec<&str> = drawn().iter().map(|k| k.name).collect();
    let of_paths = names.iter().filter(|name| name.starts_with("tcp-"));
    assert_eq!(of_paths.collect::<Vec<_>>(), [&"tcp-latency", &"tcp-reset"]);
    let text = "storm: { from: 2s, for: 20s, kinds: [tcp-reset, tcp-limit] }";
    let document = Document::parse("x.yaml", text).unwrap();
    let map = document.root().map().unwrap();
    let (.., node) = map.entries().next().unwrap();
    let shop = Shop {
        replicas: [("bank".to_owned(), 1)].into(),
        duration: Duration::from_secs(50),
    };
    assert_eq!(spec::read_storm(node, &shop, &[]), None);
    let message = document.finish().unwrap_err().to_string();
    assert!(
        message.contains("a storm does not draw `tcp-limit`; write it as a fault of its own"),
        "{message}"
    );
}

/// Golden: a seed gives the same storm in every release, so that a recorded run can be repeated.
#[test]
fn a_storm_is_the_same_in_every_release() {
    let text =
        "storm: { from: 2s, for: 20s, kinds: [latency, kill, error], every: 5s, lasts: 1s..3s }";
    let replicas = [("bank", 1), ("order", 2), ("cart", 3)];
    let shop = Shop {
        replicas: replicas.map(|(role, n)| (role.to_owned(), n)).into(),
        duration: Duration::from_secs(50),
    };
    let document = Document::parse("x.yaml", text).unwrap();
    let map = document.root().map().unwrap();
    let (.., node) = map.entries().next().unwrap();
    let storm = spec::read_storm(node, &shop, &[]).unwrap();
    assert_eq!(storm.at_once, 2);
    let lines: Vec<String> = storm
        .faults(&shop, &[], 7)
        .iter()
        .map(spec::write_fault)
        .collect();
    assert_eq!(lines, GOLDEN);
}

const GOLDEN: [&str; 4] = [
    "{ name: storm-1-latency-cart-0, at: 2633ms, for: 2446ms, target: cart/0, kind: latency, delay: 360ms, jitter: 35ms, share: 94% }",
    "{ name: storm-2-latency-order-0, at: 7871ms, for: 1160ms, target: order/0, kind: latency, delay: 193ms, jitter: 66ms, share: 99% }",
    "{ name: storm-3-latency-order, at: 13177ms, for: 1602ms, target: order, kind: latency, delay: 242ms, jitter: 48ms, distribution: normal, share: 48% }",
    "{ name: storm-4-error-order-1, at: 18994ms, for: 2185ms, target: order/1, kind: error, status: 502, share: 36% }",
];
