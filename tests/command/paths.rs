//! Path faults between services: they have hits, affect the shoppers, end, and break no promise.

use serde_json::{Value, json};

use crate::harness::TestDir;

const CUT: &str = "\
name: paths
seed: 5
shop: { products: 100, customers: 50, replicas: { order: 2, product: 2 } }
load:
  mix: ordering
  think: 100ms
  session: 3s
  phases:
    - { name: steady, for: 18s, arrivals: 5/s }
faults:
  - { name: far-bank, at: 2s, for: 4s, target: payment->bank, kind: tcp-latency, delay: 400ms }
  - { name: cut-off, at: 7s, for: 2s, target: gateway->product, kind: tcp-reset }
  - { name: bank-down, at: 12s, target: bank, kind: kill, restart: 1s }
";

/// The seconds within a fault's window.
fn seconds<'r>(record: &Value, name: &str, intervals: &'r [Value]) -> Vec<&'r Value> {
    let faults = record["faults"].as_array().unwrap();
    let fault = faults.iter().find(|f| f["name"] == name).unwrap();
    let (from, to) = (
        fault["started_s"].as_f64().unwrap(),
        fault["ended_s"].as_f64().unwrap(),
    );
    let within = |i: &&Value| {
        let t = i["t_s"].as_f64().unwrap();
        t - 1.0 >= from && t <= to + 0.1
    };
    intervals.iter().filter(within).collect()
}

#[test]
fn connections_are_slowed_and_reset_between_services_and_no_promise_is_broken() {
    let test_dir = TestDir::with(CUT);
    test_dir.run(&["run", "s.yaml", "--port", "0", "--quiet"]);
    let record = test_dir.record();
    let faults = record["faults"].as_array().unwrap();
    assert_eq!(faults.len(), 3, "{record:#}");
    for fault in faults {
        // The bank's only caller counts its failures under the port of its proxy.
        assert!(fault["hits"].as_u64().unwrap() > 0, "{fault}");
        assert_eq!(fault["trouble"], Value::Null, "{fault}");
    }
    let text = std::fs::read_to_string(test_dir.run_dir().join("intervals.jsonl")).unwrap();
    let intervals: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let half_of_the_buyers_waited = seconds(&record, "far-bank", &intervals)
        .iter()
        .filter_map(|i| i["steps"]["buy_confirm"]["response_us"]["p50"].as_u64())
        .any(|p50| p50 >= 400_000);
    assert!(half_of_the_buyers_waited, "{record:#}");
    let failed: u64 = seconds(&record, "cut-off", &intervals)
        .iter()
        .map(|i| i["all"]["failed"].as_u64().unwrap())
        .sum();
    assert!(failed > 0, "{record:#}");
    let ended = faults.iter().find(|f| f["name"] == "cut-off").unwrap()["ended_s"].as_f64();
    let answered_again = intervals
        .iter()
        .filter(|i| i["t_s"].as_f64() > ended.map(|s| s + 1.0))
        .map(|i| &i["callers"]["gateway→product"])
        .any(|edge| edge["attempts"].as_u64() > edge["failures"].as_u64());
    assert!(answered_again, "{record:#}");
    assert_eq!(record["crashes"], Value::Null, "no service crashed");
    assert!(record["audit"]["orders_promised"].as_u64().unwrap() > 0);
    assert_eq!(record["audit"]["complete"], true, "{record:#}");
    assert_eq!(record["audit"]["violations"], json!([]), "{record:#}");
}
