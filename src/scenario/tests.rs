//! Reading a scenario, and rewriting its text.

use super::rewrite::with_faults;
use super::*;

#[test]
fn the_built_in_demo_has_no_mistakes() {
    let demo = Scenario::parse(DEMO_PATH, DEMO, None).unwrap();
    assert_eq!((demo.name.as_str(), demo.seed), ("demo", 7));
    assert_eq!(demo.shop.replicas_of(Role::Order), 2);
    assert_eq!(demo.faults.len(), 2);
    assert_eq!(demo.shop.bank.silent_ratio, 0.0);
}

#[test]
fn the_records_copy_has_the_seed_in_use() {
    let demo = Scenario::parse(DEMO_PATH, DEMO, Some(99)).unwrap();
    assert_eq!(demo.seed, 99);
    let again = Scenario::parse(DEMO_PATH, &demo.text, None).unwrap();
    assert_eq!(again.seed, 99);
    let bare = DEMO.replace("seed: 7\n", "");
    let seeded = Scenario::parse(DEMO_PATH, &bare, Some(5)).unwrap();
    assert_eq!(
        Scenario::parse(DEMO_PATH, &seeded.text, None).unwrap().seed,
        5
    );
}

#[test]
fn the_records_copy_has_the_patterns_that_were_off() {
    let demo = Scenario::parse(DEMO_PATH, DEMO, None).unwrap();
    let bare = demo
        .without(&[Pattern::Caches])
        .without(&[Pattern::Breakers]);
    assert_eq!(bare.shop.switched_off(), ["breakers", "caches"]);
    let again = Scenario::parse(DEMO_PATH, &bare.text, None).unwrap();
    assert_eq!(again.shop, bare.shop);
    assert_eq!(demo.without(&[]).text, demo.text);
    // A list on several lines is replaced as a whole.
    let long = format!("without:\n  - retries\n{DEMO}");
    let long = Scenario::parse(DEMO_PATH, &long, None).unwrap();
    let both = long.without(&[Pattern::Caches]);
    let again = Scenario::parse(DEMO_PATH, &both.text, None).unwrap();
    assert_eq!(again.shop.switched_off(), ["caches", "retries"]);
}

#[test]
fn the_seed_decides_the_faults_of_a_storm() {
    let stormy = format!("{DEMO}storm: {{ from: 5s, for: 40s, lasts: 1s..2s }}\n");
    let one = Scenario::parse("x.yaml", &stormy, None).unwrap();
    assert!(one.faults.len() > 4, "{:?}", one.faults);
    // The storm's faults do not overlap the written faults of the same target.
    let again = Scenario::parse("x.yaml", &one.text, None).unwrap();
    assert_eq!(one.faults, again.faults);
    let other = Scenario::parse("x.yaml", &stormy, Some(8)).unwrap();
    assert_eq!(one.faults[..2], other.faults[..2]);
    assert_ne!(one.faults, other.faults);
    assert!(one.describe().contains("fault     storm-1-"));
}

#[test]
fn one_pass_reports_the_mistakes_of_all_parts() {
    let text = "\
name: demo
shop:
  products: many
  replicas: { oder: 2 }
load:
  mix: shoping
  phases:
    - { name: steady, for: 20, arrivals: 10/s }
faults:
  - { name: slow, at: 1s, for: 2s, target: bnak, kind: latency, delay: 300ms }
expcet: []
";
    let err = Scenario::parse("x.yaml", text, None).unwrap_err();
    let places: Vec<(usize, usize)> = err.list.iter().map(|m| (m.line, m.column)).collect();
    assert_eq!(
        places,
        [(3, 13), (4, 15), (6, 8), (8, 28), (10, 44), (11, 1)],
        "{err}"
    );
}

#[test]
fn only_the_faults_change() {
    let demo = Scenario::parse("x.yaml", DEMO, None).unwrap();
    let fewer = with_faults(DEMO, &demo.faults[1..]).unwrap();
    let gone: Vec<&str> = DEMO.lines().filter(|l| !fewer.contains(l)).collect();
    assert_eq!(gone.len(), 2, "both are replaced: {gone:?}");
    let read = Scenario::parse("x.yaml", &fewer, None).unwrap();
    assert_eq!(read.faults, demo.faults[1..]);
    assert_eq!(read.expect, demo.expect);
    assert!(fewer.contains("# An order at the killed replica waits"));
}

#[test]
fn a_storm_is_replaced_by_its_faults() {
    let stormy = format!(
        "# before\n{DEMO}storm:\n  from: 5s\n  for: 40s\n  # within\n  lasts: 1s..2s\n\n# after\n"
    );
    let one = Scenario::parse("x.yaml", &stormy, Some(3)).unwrap();
    let plain = one.with_faults(&one.faults).unwrap();
    assert_eq!(plain.faults, one.faults);
    assert_eq!(plain.seed, 3);
    assert!(!plain.text.contains("storm:") && !plain.text.contains("# within"));
    assert!(plain.text.contains("# after\n"));
    let none = one.with_faults(&[]).unwrap();
    assert!(none.faults.is_empty());
}

#[test]
fn new_faults_are_appended() {
    let demo = Scenario::parse("x.yaml", DEMO, None).unwrap();
    let bare = demo
        .with_faults(&[])
        .unwrap()
        .text
        .replace("faults: []\n", "");
    let again = with_faults(&bare, &demo.faults).unwrap();
    let read = Scenario::parse("x.yaml", &again, None).unwrap();
    assert_eq!(read.faults, demo.faults);
}

#[test]
fn a_text_in_braces_is_not_changed() {
    assert_eq!(with_faults("{ name: x, faults: [] }", &[]), None);
}
