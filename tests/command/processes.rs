//! What happens to a shop's processes from outside: paused, restarted, slow to start. And that a paused one is no
//! reason for anything to be left, or to take long.

use std::process::Child;

use serde_json::{Value, json};

use crate::harness::{self, TestDir, alive, kill, signal, state, until, wait};

/// A long load, and one fault of the same length.
fn paused(target: &str) -> TestDir {
    TestDir::with(&format!(
        "\
name: paused
shop: {{ products: 100, customers: 50, replicas: {{ order: 2, gateway: 2 }} }}
load:
  mix: ordering
  think: 100ms
  session: 3s
  phases:
    - {{ name: steady, for: 600s, arrivals: 2/s }}
faults:
  - {{ name: stalls, at: 1s, for: 500s, target: {target}, kind: pause }}
"
    ))
}

/// Starts a run and waits until one of its processes is stopped. Gives all process ids, and that one.
fn run_until_paused(test_dir: &TestDir) -> (Child, Vec<u32>, u32) {
    let child = test_dir
        .command(&["run", "s.yaml", "--port", "0", "--quiet"])
        .spawn()
        .unwrap();
    let pids = test_dir.pids();
    let stopped = until("a paused process", || {
        pids.iter().copied().find(|p| state(*p) == Some('T'))
    });
    (child, pids, stopped)
}

#[test]
fn a_paused_process_dies_with_a_harness_that_was_killed() {
    let test_dir = paused("order/1");
    let (mut child, pids, _) = run_until_paused(&test_dir);
    signal(&child, "-KILL");
    wait(&mut child);
    until("the end of all children", || {
        pids.iter().all(|p| !alive(*p)).then_some(())
    });
}

#[test]
fn ctrl_c_ends_a_shop_with_a_paused_process_at_once() {
    let test_dir = paused("gateway/0");
    let (mut child, pids, _) = run_until_paused(&test_dir);
    signal(&child, "-INT");
    let (status, took) = wait(&mut child);
    assert!(took.as_secs_f64() < 5.0, "it took {took:?}");
    assert_eq!(status.code(), Some(4));
    let left: Vec<_> = pids.iter().filter(|p| alive(**p)).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_process_stopped_from_outside_does_not_delay_the_end() {
    let test_dir = TestDir::with(
        "\
name: up
shop: { products: 100, customers: 50 }
load: { mix: shopping, phases: [ { name: steady, for: 1s, arrivals: 1/s } ] }
",
    );
    let mut child = test_dir
        .command(&["up", "s.yaml", "--port", "0", "--quiet"])
        .spawn()
        .unwrap();
    let pids = test_dir.pids();
    // The process is a child of our child, so it may be stopped.
    kill(pids[0], "-STOP");
    until("its stop", || (state(pids[0]) == Some('T')).then_some(()));
    signal(&child, "-TERM");
    let (_, took) = wait(&mut child);
    // It gets SIGTERM, and SIGKILL after two seconds.
    assert!(took.as_secs_f64() < 8.0, "it took {took:?}");
    let left: Vec<_> = pids.iter().filter(|p| alive(**p)).collect();
    assert!(left.is_empty(), "{left:?}");
}

const EVERYTHING: &str = "\
name: processes
seed: 5
shop: { products: 100, customers: 50, replicas: { order: 2, product: 2, gateway: 2 } }
load:
  mix: ordering
  think: 100ms
  session: 3s
  phases:
    - { name: steady, for: 24s, arrivals: 5/s }
faults:
  - { name: order-stalls, at: 1s, for: 3s, target: order/1, kind: pause }
  - { name: cart-stalls, at: 5s, for: 3s, target: cart, kind: pause }
  - { name: bank-cold, at: 9s, target: bank, kind: slow-start, delay: 3s }
  - { name: product-cold, at: 9s, target: product/1, kind: slow-start, delay: 2s }
  - { name: user-deploy, at: 12s, target: user, kind: restart }
  - { name: gateway-stalls, at: 14s, for: 2s, target: gateway/1, kind: pause }
  - { name: gateway-deploy, at: 18s, target: gateway/0, kind: restart }
";

#[test]
fn paused_restarted_and_delayed_replicas_have_hits_and_recover() {
    let test_dir = TestDir::with(EVERYTHING);
    test_dir.run(&["run", "s.yaml", "--port", "0", "--quiet"]);
    let record = test_dir.record();
    let intervals = std::fs::read_to_string(test_dir.run_dir().join("intervals.jsonl")).unwrap();
    let faults = record["faults"].as_array().unwrap();
    assert_eq!(faults.len(), 7, "{record:#}");
    for fault in faults {
        // A restart may end before any request arrives.
        let hits = fault["hits"].as_u64().unwrap();
        assert!(
            hits > 0 || fault["kind"] == "restart",
            "{fault} in\n{intervals}"
        );
        assert_eq!(fault["trouble"], Value::Null, "{fault}");
        // It does not end early. On a busy machine it may start late.
        let planned_end = match fault["name"].as_str().unwrap() {
            "order-stalls" => 4.0,
            "cart-stalls" => 8.0,
            "bank-cold" => 12.0,
            "product-cold" => 11.0,
            "gateway-stalls" => 16.0,
            _ => 0.0,
        };
        assert!(fault["ended_s"].as_f64().unwrap() >= planned_end, "{fault}");
    }
    assert_eq!(record["crashes"], Value::Null, "no service crashed");
    assert_eq!(record["audit"]["complete"], true, "{record:#}");
    assert_eq!(record["audit"]["violations"], json!([]), "{record:#}");
    let topology = harness::json(&test_dir.run_dir().join("topology.json"));
    for process in topology.as_array().unwrap() {
        assert!(!alive(process["pid"].as_u64().unwrap() as u32));
    }
}
