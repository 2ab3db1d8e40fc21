//! `doorbuster load`, and the harness's own metrics.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{RunningShop, SMALL, TestDir, http, json, stderr, until};

/// The series of a name whose labels contain a text: their values.
fn series(page: &str, name: &str, labels: &str) -> Vec<f64> {
    let series = page
        .lines()
        .filter(|l| l.starts_with(&format!("{name}{{")) && l.contains(labels));
    let value = |line: &str| {
        let (_, value) = line.split(" # ").next().unwrap().rsplit_once("} ").unwrap();
        value.split(' ').next().unwrap().parse().unwrap()
    };
    series.map(value).collect()
}

/// The sum of the series with a name and labels. There must be at least one.
fn sum(page: &str, name: &str, labels: &str) -> f64 {
    let found = series(page, name, labels);
    assert!(!found.is_empty(), "no {name} with `{labels}` in\n{page}");
    found.iter().sum()
}

/// The scrape targets file in a folder of runs that has the harness, and the harness's address.
fn harness_of(runs: &Path) -> Option<(PathBuf, SocketAddr)> {
    let lists = std::fs::read_dir(runs).ok()?.flatten().map(|e| e.path());
    let list = lists
        .filter(|p| p.to_string_lossy().ends_with(".targets.json"))
        .find(|p| std::fs::read_to_string(p).is_ok_and(|t| t.contains("loadgen")))?;
    let groups = json(&list);
    let mut groups = groups.as_array().unwrap().iter();
    let harness = groups.find(|g| g["labels"]["service"] == "loadgen")?;
    let address = harness["targets"][0].as_str()?.parse().ok()?;
    Some((list, address))
}

#[test]
fn a_load_runs_against_a_shop_that_is_up() {
    let shop = RunningShop::open(&[]);
    let target = format!("http://{}", shop.gateway);
    let crowd = shop.spawn(&[
        "load", "s.yaml", "--target", &target, "--out", "visits", "--json",
    ]);
    let visits = shop.run_dir().parent().unwrap().with_file_name("visits");
    let (list, _) = until("the crowd among the targets", || harness_of(&visits));
    let output = crowd.wait_with_output().unwrap();
    assert!(!list.exists(), "the file is removed at the end");
    let message = stderr(&output);
    let record: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {message}"));
    // A debug build on a shared machine may be late. Then the verdict must be invalid.
    let expected = if record["generator"]["valid"] == true {
        (Some(0), "pass")
    } else {
        (Some(4), "invalid")
    };
    let verdict = record["verdict"].as_str().unwrap();
    assert_eq!((output.status.code(), verdict), expected, "{record:#}");
    assert!(message.contains("faults are not injected"), "{message}");
    assert!(
        message.contains("Only the expectations of steps"),
        "{message}"
    );
    assert_eq!(record["expectations"].as_array().unwrap().len(), 1);
    assert_eq!(record["faults"], Value::Array(Vec::new()));
    let promised = record["audit"]["orders_promised"].as_u64().unwrap();
    assert!(promised > 0, "no order was promised: {record:#}");

    // The shop holds the orders that the shoppers were promised.
    let visit = std::fs::read_dir(visits).unwrap().next().unwrap().unwrap();
    let ledger = visit.path().join("ledger.jsonl");
    let topology = shop.run_dir().join("topology.json");
    let paths = [&topology, &ledger].map(|p| p.to_str().unwrap());
    let audit = shop.run(&["audit", "--topology", paths[0], "--ledger", paths[1]]);
    assert_eq!(audit.status.code(), Some(0), "{}", stderr(&audit));
}

#[test]
fn a_load_without_a_shop_is_refused() {
    let test_dir = TestDir::with(SMALL);
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = unused.local_addr().unwrap();
    drop(unused);
    for (target, words) in [
        (format!("http://{address}"), "no shop answers"),
        ("nonsense".to_owned(), "write http://host:port"),
    ] {
        let output = test_dir.run(&["load", "s.yaml", "--target", &target]);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
    assert!(!test_dir.path().join("runs").exists());
}

#[test]
fn metrics_outside_the_loopback_need_a_token() {
    let test_dir = TestDir::with(SMALL);
    let front = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("http://{}", front.local_addr().unwrap());
    let mut command = test_dir.command(&[
        "load",
        "s.yaml",
        "--target",
        &target,
        "--metrics",
        "0.0.0.0:0",
    ]);
    let output = command
        .env_remove("DOORBUSTER_ADMIN_TOKEN")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = stderr(&output);
    assert!(message.contains("set DOORBUSTER_ADMIN_TOKEN"), "{message}");
    assert!(!test_dir.path().join("runs").exists());
}

#[test]
fn a_run_exports_its_load_and_its_process_faults() {
    let test_dir = TestDir::with(SMALL);
    let mut child = test_dir
        .command(&["run", "s.yaml", "--port", "0", "--quiet"])
        .spawn()
        .unwrap();
    let runs = test_dir.path().join("runs");
    let (_, address) = until("the harness among the targets", || harness_of(&runs));
    let page = || http(address, "GET", "/metrics", &[], &Value::Null).1;
    assert!(page().ends_with("# EOF\n"));
    let mut most_sessions: f64 = 0.0;
    let (before, kill) = until("the kill on the page", || {
        let (before, page) = (page(), page());
        most_sessions = most_sessions.max(sum(&page, "loadgen_sessions_active", ""));
        let active = series(&page, "chaos_fault_active", "kind=\"kill\"");
        (active == [1.0]).then_some((before, page))
    });
    assert!(most_sessions > 0.0, "no session was active before the kill");
    // The bank's latency is on the bank's own page.
    assert!(!kill.contains("kind=\"latency\""), "{kill}");
    assert_eq!(sum(&kill, "loadgen_phase_active", "steady"), 1.0);
    // A step is counted at one after the other, and the page is read line by line meanwhile. So what comes later has on the
    // earlier page at most what comes before it has on the later one.
    let count =
        |page: &str, names: &[&str]| -> f64 { names.iter().map(|name| sum(page, name, "")).sum() };
    let offered: &[&str] = &["loadgen_requests_offered_total"];
    let sent: &[&str] = &["loadgen_requests_sent_total"];
    let sent_or_dropped: &[&str] = &[sent[0], "loadgen_requests_dropped_total"];
    let late: &[&str] = &["loadgen_send_lateness_seconds_count"];
    let answered: &[&str] = &["loadgen_request_duration_seconds_count"];
    let served: &[&str] = &["loadgen_service_duration_seconds_count"];
    for (first, next) in [
        (offered, sent_or_dropped),
        (sent, late),
        (sent, answered),
        (answered, served),
    ] {
        let (most, there) = (count(&kill, first), count(&before, next));
        assert!(there > 0.0 && there <= most, "{next:?}: {there} of {most}");
    }
    // Nor is any left out: each worker is between two of these with one step at most.
    let workers = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    for (first, next) in [(offered, sent_or_dropped), (sent, late), (answered, served)] {
        let (least, there) = (count(&before, first) - workers, count(&kill, next));
        assert!(there >= least, "{next:?}: {there} of {least}");
    }
    child.wait().unwrap();
}
