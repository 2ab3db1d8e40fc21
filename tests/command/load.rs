//! The crowd alone, and the harness's own page of metrics.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{Place, SMALL, Up, http, json, stderr, until};

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

/// A figure of a page: the sum over such series, of which there must be some.
fn figure(page: &str, name: &str, labels: &str) -> f64 {
    let found = series(page, name, labels);
    assert!(!found.is_empty(), "no {name} with `{labels}` in\n{page}");
    found.iter().sum()
}

/// The list of scrape targets in a folder of runs that names a harness, and the harness's address.
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
fn a_crowd_alone_visits_a_shop_that_somebody_else_has_opened() {
    let shop = Up::open(&[]);
    let target = format!("http://{}", shop.gateway);
    let crowd = shop.spawn(&[
        "load", "s.yaml", "--target", &target, "--out", "visits", "--json",
    ]);
    let visits = shop.run_dir().parent().unwrap().with_file_name("visits");
    let (list, _) = until("the crowd among the targets", || harness_of(&visits));
    let output = crowd.wait_with_output().unwrap();
    assert!(!list.exists(), "nobody is there any longer");
    let said = stderr(&output);
    let record: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
    // A debug build on a shared machine may be late; it must then say so and nothing else.
    let expected = if record["generator"]["valid"] == true {
        (Some(0), "pass")
    } else {
        (Some(4), "invalid")
    };
    let verdict = record["verdict"].as_str().unwrap();
    assert_eq!((output.status.code(), verdict), expected, "{record:#}");
    assert!(said.contains("faults are not injected"), "{said}");
    assert!(said.contains("Only the expectations of steps"), "{said}");
    assert_eq!(record["expectations"].as_array().unwrap().len(), 1);
    assert_eq!(record["faults"], Value::Array(Vec::new()));
    let promised = record["audit"]["orders_promised"].as_u64().unwrap();
    assert!(promised > 0, "nobody bought anything: {record:#}");

    // What the crowd was promised is held by the shop.
    let visit = std::fs::read_dir(visits).unwrap().next().unwrap().unwrap();
    let ledger = visit.path().join("ledger.jsonl");
    let topology = shop.run_dir().join("topology.json");
    let paths = [&topology, &ledger].map(|p| p.to_str().unwrap());
    let audit = shop.run(&["audit", "--topology", paths[0], "--ledger", paths[1]]);
    assert_eq!(audit.status.code(), Some(0), "{}", stderr(&audit));
}

#[test]
fn without_a_shop_no_crowd_sets_out() {
    let place = Place::with(SMALL);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    for (target, words) in [
        (format!("http://{address}"), "no shop answers"),
        ("nonsense".to_owned(), "write http://host:port"),
    ] {
        let output = place.run(&["load", "s.yaml", "--target", &target]);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
    assert!(!place.path().join("runs").exists());
}

#[test]
fn the_crowds_figures_are_not_shown_to_everyone() {
    let place = Place::with(SMALL);
    let front = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("http://{}", front.local_addr().unwrap());
    let mut command = place.command(&[
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
    let said = stderr(&output);
    assert!(said.contains("set DOORBUSTER_ADMIN_TOKEN"), "{said}");
    assert!(!place.path().join("runs").exists());
}

#[test]
fn a_run_shows_its_crowd_and_its_faults_on_a_page_of_its_own() {
    let place = Place::with(SMALL);
    let mut child = place
        .command(&["run", "s.yaml", "--port", "0", "--quiet"])
        .spawn()
        .unwrap();
    let runs = place.path().join("runs");
    let (_, address) = until("the harness among the targets", || harness_of(&runs));
    let page = || http(address, "GET", "/metrics", &[], &Value::Null).1;
    assert!(page().ends_with("# EOF\n"));
    let mut most_sessions: f64 = 0.0;
    let (before, kill) = until("the kill on the page", || {
        let (before, page) = (page(), page());
        most_sessions = most_sessions.max(figure(&page, "loadgen_sessions_active", ""));
        let active = series(&page, "chaos_fault_active", "kind=\"kill\"");
        (active == [1.0]).then_some((before, page))
    });
    assert!(most_sessions > 0.0, "nobody came before the kill");
    // The bank's latency is on the bank's own page.
    assert!(!kill.contains("kind=\"latency\""), "{kill}");
    assert_eq!(figure(&kill, "loadgen_phase_active", "steady"), 1.0);
    // A step is counted at one after the other, and the page is read line by line meanwhile. So what comes later has on the
    // earlier page at most what comes before it has on the later one.
    let count = |page: &str, names: &[&str]| -> f64 {
        names.iter().map(|name| figure(page, name, "")).sum()
    };
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
