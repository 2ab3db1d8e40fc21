//! The crowd alone, and the harness's own page of metrics.

use std::net::SocketAddr;

use serde_json::Value;

use crate::harness::{Place, SMALL, Up, http, json, stderr, until};

/// A figure of a page: the sum over the series of a name whose labels contain a text.
fn figure(page: &str, name: &str, labels: &str) -> f64 {
    let series = page
        .lines()
        .filter(|l| l.starts_with(&format!("{name}{{")) && l.contains(labels));
    series
        .map(|l| {
            let value = l.rsplit_once("} ").unwrap().1;
            value.split(' ').next().unwrap().parse::<f64>().unwrap()
        })
        .sum()
}

#[test]
fn a_crowd_alone_visits_a_shop_that_somebody_else_has_opened() {
    let shop = Up::open(&[]);
    let target = format!("http://{}", shop.gateway);
    let output = shop.run(&[
        "load", "s.yaml", "--target", &target, "--out", "visits", "--json",
    ]);
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
    assert!(said.contains("other than those of steps"), "{said}");
    assert_eq!(record["expectations"].as_array().unwrap().len(), 1);
    assert_eq!(record["faults"], Value::Array(Vec::new()));
    let promised = record["audit"]["orders_promised"].as_u64().unwrap();
    assert!(promised > 0, "nobody bought anything: {record:#}");

    // What the crowd was promised is held by the shop.
    let visits = shop.run_dir().parent().unwrap().with_file_name("visits");
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
fn a_run_shows_its_crowd_and_its_faults_on_a_page_of_its_own() {
    let place = Place::with(SMALL);
    let mut child = place
        .command(&["run", "s.yaml", "--port", "0", "--quiet"])
        .spawn()
        .unwrap();
    let address: SocketAddr = until("the harness among the targets", || {
        let runs = std::fs::read_dir(place.path().join("runs")).ok()?;
        let lists = runs.flatten().map(|e| e.path());
        let list = lists
            .filter(|p| p.to_string_lossy().ends_with(".targets.json"))
            .find(|p| std::fs::read_to_string(p).is_ok_and(|t| t.contains("loadgen")))?;
        let groups = json(&list);
        let mut groups = groups.as_array().unwrap().iter();
        let harness = groups.find(|g| g["labels"]["service"] == "loadgen")?;
        harness["targets"][0].as_str()?.parse().ok()
    });
    let page = || http(address, "GET", "/metrics", &[], &Value::Null).1;
    assert!(page().ends_with("# EOF\n"));
    let kill = until("the kill on the page", || {
        let page = page();
        let active = figure(&page, "chaos_fault_active", "kind=\"kill\"");
        (active == 1.0).then_some(page)
    });
    // The bank's latency is on the bank's own page.
    assert!(!kill.contains("kind=\"latency\""), "{kill}");
    assert_eq!(figure(&kill, "loadgen_phase_active", "steady"), 1.0);
    let count = |name: &str| figure(&kill, name, "");
    let sent = count("loadgen_requests_sent_total");
    assert!(sent > 0.0, "{kill}");
    assert_eq!(
        count("loadgen_requests_offered_total"),
        sent + count("loadgen_requests_dropped_total")
    );
    assert_eq!(count("loadgen_send_lateness_seconds_count"), sent);
    let answered = count("loadgen_request_duration_seconds_count");
    assert!(answered > 0.0 && answered <= sent, "{kill}");
    assert_eq!(count("loadgen_service_duration_seconds_count"), answered);
    assert!(count("loadgen_sessions_active") >= 0.0);
    child.wait().unwrap();
}
