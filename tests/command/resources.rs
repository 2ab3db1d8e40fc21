//! Resource faults of databases, processors, memory and clocks: each has hits, and no promise is broken.

use serde_json::{Value, json};

use crate::harness::TestDir;

const EVERYTHING: &str = "\
name: resources
seed: 5
shop: { products: 100, customers: 50, replicas: { order: 2, product: 2 } }
load:
  mix: ordering
  think: 100ms
  session: 3s
  phases:
    - { name: steady, for: 20s, arrivals: 5/s }
faults:
  - { name: slow-disk, at: 1s, for: 3s, target: inventory, kind: slow-database, delay: 50ms, jitter: 20ms, share: 50% }
  - { name: flaky-disk, at: 1s, for: 3s, target: product, kind: failing-database, share: 20% }
  - { name: disk-full, at: 5s, for: 3s, target: order, kind: full-disk }
  - { name: leak, at: 5s, for: 3s, target: cart, kind: memory, size: 50MB }
  - { name: backup, at: 9s, for: 3s, target: order, kind: locked-database }
  - { name: neighbour, at: 9s, for: 3s, target: product, kind: cpu, threads: 2 }
  - { name: leaked, at: 13s, for: 3s, target: cart, kind: leaked-connections }
  - { name: clock-back, at: 17s, for: 2s, target: user, kind: clock-skew, by: -2h }
";

#[test]
fn every_fault_of_a_resource_has_hits_and_no_promise_is_broken() {
    let test_dir = TestDir::with(EVERYTHING);
    test_dir.run(&["run", "s.yaml", "--port", "0", "--quiet"]);
    let record = test_dir.record();
    let faults = record["faults"].as_array().unwrap();
    assert_eq!(faults.len(), 8, "{record:#}");
    for fault in faults {
        assert!(fault["hits"].as_u64().unwrap() > 0, "{fault}");
        assert_eq!(fault["trouble"], Value::Null, "{fault}");
    }
    assert_eq!(record["crashes"], Value::Null, "no service crashed");
    assert!(record["audit"]["orders_promised"].as_u64().unwrap() > 0);
    assert_eq!(record["audit"]["complete"], true, "{record:#}");
    assert_eq!(record["audit"]["violations"], json!([]), "{record:#}");
}

#[test]
fn a_gateway_has_no_database_to_be_slow() {
    let fault = "faults: [ { name: slow, at: 0s, for: 500ms, target: gateway, kind: slow-database, delay: 1ms } ]\n";
    let test_dir = TestDir::with(&format!(
        "\
name: short
load: {{ mix: shopping, phases: [ {{ name: steady, for: 1s, arrivals: 2/s }} ] }}
{fault}"
    ));
    let output = test_dir.run(&["run", "s.yaml", "--port", "0", "--quiet"]);
    assert_eq!(
        output.status.code(),
        Some(4),
        "a fault without hits is invalid"
    );
    let message = std::fs::read_to_string(test_dir.run_dir().join("faults.jsonl")).unwrap();
    assert!(message.contains("gateway has no database"), "{message}");
}
