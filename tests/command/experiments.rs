//! Runs whose faults come by other ways than the clock, and what becomes of them when it is too much.

use serde_json::Value;

use crate::harness::{Place, json, stderr};

/// A crowd of twelve seconds, with these sections.
fn scenario(sections: &str) -> String {
    format!(
        "\
name: experiment
seed: 11
shop: {{ products: 100, customers: 50, replicas: {{ order: 2 }} }}
load:
  mix: ordering
  think: 100ms
  session: 3s
  phases:
    - {{ name: steady, for: 12s, arrivals: 4/s }}
{sections}"
    )
}

fn faults(record: &Value) -> Vec<(String, f64, f64, u64)> {
    let rows = record["faults"].as_array().unwrap().iter();
    rows.map(|r| {
        (
            r["name"].as_str().unwrap().to_owned(),
            r["started_s"].as_f64().unwrap(),
            r["ended_s"].as_f64().unwrap(),
            r["hits"].as_u64().unwrap(),
        )
    })
    .collect()
}

#[test]
fn faults_are_repeated_and_chained() {
    let place = Place::with(&scenario(
        "\
faults:
  - { name: slow, at: 1s, every: 3s, times: 2, for: 1s, target: product, kind: latency, delay: 20ms }
  - { name: next, after: slow, wait: 500ms, for: 2s, target: gateway, kind: latency, delay: 20ms }
  - { name: never, when: breaker payment->bank, for: 1s, target: cart, kind: latency, delay: 20ms }
",
    ));
    let output = place.run(&["run", "s.yaml", "--port", "0", "--quiet"]);
    let record = place.record();
    let rows = faults(&record);
    let names: Vec<&str> = rows.iter().map(|r| r.0.as_str()).collect();
    assert_eq!(
        names,
        ["slow", "slow-2", "next", "never"],
        "{}",
        stderr(&output)
    );
    let (slow, next, never) = (&rows[1], &rows[2], &rows[3]);
    assert!(rows[..3].iter().all(|r| r.3 > 0), "{rows:?}");
    let waited = next.1 - slow.2;
    assert!((0.5..3.0).contains(&waited), "{rows:?}");
    // What was waited for never happened, so the experiment is void.
    assert_eq!(never.3, 0);
    assert_eq!(record["verdict"], "invalid");
    assert_eq!(output.status.code(), Some(4));
    let told = std::fs::read_to_string(place.run_dir().join("faults.jsonl")).unwrap();
    assert!(
        told.contains("the breaker payment->bank was not seen open while the load lasted"),
        "{told}"
    );
}

#[test]
fn a_fault_begins_when_a_breaker_opens() {
    let place = Place::with(&scenario(
        "\
faults:
  - { name: bank-down, at: 2s, target: bank, kind: kill, restart: 5s }
  - { name: then, when: breaker payment->bank opens, for: 2s, target: product, kind: latency, delay: 20ms }
",
    ));
    place.run(&["run", "s.yaml", "--port", "0", "--quiet"]);
    let rows = faults(&place.record());
    let then = rows.iter().find(|r| r.0 == "then").unwrap();
    assert!(then.1 > 2.0 && then.3 > 0, "{rows:?}");
}

#[test]
fn too_much_stops_the_experiment_and_fails_it() {
    let place = Place::with(&scenario(
        "\
faults:
  - { name: gone, at: 2s, target: product, kind: kill, restart: 9s }
  - { name: later, at: 11500ms, for: 500ms, target: cart, kind: latency, delay: 20ms }
abort:
  - { step: home, errors: 50%, for: 1s }
",
    ));
    let output = place.run(&["run", "s.yaml", "--port", "0", "--quiet"]);
    let record = place.record();
    let why = record["aborted"]
        .as_str()
        .unwrap_or_else(|| panic!("{record:#}"));
    assert!(
        why.starts_with("errors of home were at 50% or more for 1s"),
        "{why}"
    );
    assert_eq!(record["interrupted"], false);
    assert!(record["duration_s"].as_f64().unwrap() < 11.0, "{record:#}");
    // Started again at once, and nothing comes any more.
    let rows = faults(&record);
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(record["audit"]["complete"], true);
    if record["generator"]["valid"] == true {
        assert_eq!(record["verdict"], "fail", "{record:#}");
        assert_eq!(output.status.code(), Some(2));
    }
    let reasons = record["reasons"].as_array().unwrap();
    assert!(
        reasons
            .iter()
            .any(|r| r.as_str().unwrap().starts_with("aborted: errors of home")),
        "{reasons:?}"
    );
}

#[test]
fn a_storm_is_drawn_before_the_run_and_recorded_as_plain_faults() {
    let place = Place::with(&scenario(
        "\
storm: { from: 1s, for: 10s, kinds: [latency], every: 2s, lasts: 1s..2s, targets: [gateway, product, cart, order] }
expect:
  - { audit: clean }
",
    ));
    let output = place.run(&["run", "s.yaml", "--port", "0", "--quiet"]);
    let record = place.record();
    let rows = faults(&record);
    assert!(rows.len() >= 3, "{rows:?} {}", stderr(&output));
    assert!(rows.iter().all(|r| r.0.starts_with("storm-")), "{rows:?}");
    assert_eq!(record["audit"]["violations"], Value::Array(Vec::new()));
}

#[test]
fn the_fault_that_broke_it_is_found_among_others() {
    // Each order goes to the bank, whose answers take a second; what else happens is not felt there.
    let place = Place::with(
        &scenario(
            "\
faults:
  - { name: users, at: 1s, for: 3s, target: user, kind: latency, delay: 1ms }
  - { name: bank, at: 1s, for: 5s, target: bank, kind: latency, delay: 1500ms }
  - { name: carts, at: 1s, for: 3s, target: cart, kind: latency, delay: 1ms }
  - { name: products, at: 1s, for: 3s, target: product, kind: latency, delay: 1ms }
expect:
  - { step: buy_confirm, p99: 1300ms }
",
        )
        .replace("for: 12s", "for: 7s"),
    );
    let output = place.run(&["run", "s.yaml", "--port", "0", "--quiet", "--shrink"]);
    let said = stderr(&output);
    let runs = std::fs::read_dir(place.path().join("runs")).unwrap();
    let mut runs: Vec<_> = runs
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_dir())
        .collect();
    runs.sort();
    let first = json(&runs[0].join("run.json"));
    if first["verdict"] == "invalid" {
        // A machine that is too busy proves nothing, and says so.
        assert!(said.contains("Nothing to shrink"), "{said}");
        return;
    }
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("shrink 1 of 12: 0 of 4 faults"), "{said}");
    if said.contains("cannot be judged") || said.contains("not the cause") {
        return;
    }
    assert!(said.contains("still breaks: buy_confirm p99"), "{said}");
    assert!(said.contains("1 of 4:\n  { name: bank, "), "{said}");
    // What is left is a scenario that can be run.
    let shrunk = runs[0].join("shrunk.yaml");
    let checked = place.run(&["check", shrunk.to_str().unwrap()]);
    let checked = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(
        checked.contains("fault     bank (latency of bank)"),
        "{checked}"
    );
    assert_eq!(checked.matches("fault     ").count(), 1, "{checked}");
}

#[test]
fn what_holds_or_has_no_faults_is_not_shrunk() {
    let place = Place::with(
        &scenario("expect: [ { step: home, p50: 1us } ]\n").replace("for: 12s", "for: 2s"),
    );
    let output = place.run(&["run", "s.yaml", "--port", "0", "--quiet", "--shrink"]);
    let said = stderr(&output);
    assert!(said.contains("Nothing to shrink: the"), "{said}");
    assert_eq!(
        std::fs::read_dir(place.path().join("runs"))
            .unwrap()
            .count(),
        1
    );
    let alone = place.run(&["run", "s.yaml", "--shrink-runs", "3"]);
    assert_eq!(
        alone.status.code(),
        Some(1),
        "it says nothing without --shrink"
    );
}
