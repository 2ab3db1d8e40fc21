//! Tests of reading files that are whole, incomplete and damaged.

use super::*;
use crate::record::{FaultEventKind, OrderOutcome};
use crate::run_dir::RunDir;
use tempfile::TempDir;

fn run() -> (TempDir, RunDir) {
    let out = tempfile::tempdir().unwrap();
    let run = RunDir::create(out.path(), "demo", jiff::Timestamp::UNIX_EPOCH).unwrap();
    (out, run)
}

fn second(t_s: f64) -> Interval {
    Interval {
        t_s,
        ..Interval::default()
    }
}

#[test]
fn every_line_is_on_disk_while_its_writer_is_still_open() {
    let (_out, run) = run();
    let mut intervals = run.intervals().unwrap();
    let mut ledger = run.ledger().unwrap();
    let mut faults = run.faults().unwrap();
    let order = LedgerEntry {
        t_s: 1.5,
        key: "k".to_owned(),
        user_id: "u".to_owned(),
        outcome: OrderOutcome::Promised,
        order_id: Some("o".to_owned()),
        total_minor: Some(1999),
    };
    let event = FaultEvent {
        t_s: 2.0,
        fault: "bank-slow".to_owned(),
        kind: "latency".to_owned(),
        target: "bank".to_owned(),
        event: FaultEventKind::InForce,
        hits: None,
        detail: None,
    };
    for n in 1..=3 {
        intervals.append(&second(f64::from(n))).unwrap();
        assert_eq!(read_intervals(run.path()).unwrap().len(), n as usize);
    }
    ledger.append(&order).unwrap();
    faults.append(&event).unwrap();
    assert_eq!(read_ledger(run.path()).unwrap(), [order]);
    assert_eq!(read_faults(run.path()).unwrap(), [event]);
}

#[test]
fn many_lines_at_once_arrive_in_order() {
    let (_out, run) = run();
    let all: Vec<u64> = (0..50_000).collect();
    let mut plan = run.lines::<u64>("plan.jsonl").unwrap();
    plan.append_all(&all).unwrap();
    let found: Vec<u64> = read_lines(plan.path()).unwrap();
    assert_eq!(found, all);
}

#[test]
fn an_incomplete_last_line_is_dropped_and_the_rest_is_read() {
    let (_out, run) = run();
    let mut intervals = run.intervals().unwrap();
    intervals.append(&second(1.0)).unwrap();
    intervals.append(&second(2.0)).unwrap();
    let path = intervals.path().to_owned();
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 9]).unwrap();
    assert_eq!(read_intervals(run.path()).unwrap(), [second(1.0)]);
}

#[test]
fn a_damaged_line_is_reported_with_file_and_line() {
    let (_out, run) = run();
    let mut intervals = run.intervals().unwrap();
    intervals.append(&second(1.0)).unwrap();
    let path = intervals.path().to_owned();
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend_from_slice(b"{\"t_s\": nonsense}\n");
    fs::write(&path, bytes).unwrap();
    let message = read_intervals(run.path()).unwrap_err().to_string();
    assert!(message.contains("intervals.jsonl:2: "), "{message}");
    assert!(!message.contains("line 1"), "{message}");
}

#[test]
fn a_summary_of_another_schema_is_refused_whatever_else_it_holds() {
    let (_out, run) = run();
    let future = serde_json::json!({"schema": "doorbuster.run/9", "new": true});
    run.write_json(SUMMARY, &future).unwrap();
    let message = read_summary(run.path()).unwrap_err().to_string();
    assert!(message.contains("doorbuster.run/9"), "{message}");
    assert!(message.contains(SCHEMA), "{message}");
}

#[test]
fn a_missing_record_and_a_damaged_one_are_different_errors() {
    let (_out, run) = run();
    let missing = read_summary(run.path()).unwrap_err();
    assert!(matches!(missing, RecordError::Read { .. }), "{missing}");
    run.write_text(SUMMARY, "{\n  \"schema\": 7\n}").unwrap();
    let damaged = read_summary(run.path()).unwrap_err().to_string();
    assert!(damaged.contains("run.json:2: "), "{damaged}");
}
