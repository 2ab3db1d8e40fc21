//! A shop in containers, with a fake of Docker: found, disrupted, restored, and left as it was.

mod fake;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::harness::{TestDir, http, json, signal, stderr, until, wait};
use fake::{Container, FailingRequest, Failure, Fake, GATEWAY, TOKEN};

const PROJECT: &str = "stall";

/// A run of nine seconds with a kill, a pause, and a fault in a service.
const DISRUPTED: &str = "\
name: disrupted
seed: 11
shop: { products: 100, customers: 50, replicas: { order: 2 } }
load:
  mix: ordering
  think: 100ms
  session: 3s
  phases:
    - { name: steady, for: 9s, arrivals: 4/s }
faults:
  - { name: order-down, at: 1s, target: order/1, kind: kill, restart: 2s }
  - { name: bank-slow, at: 2s, for: 2s, target: bank, kind: latency, delay: 50ms }
  - { name: payment-stalls, at: 5s, for: 2s, target: payment, kind: pause }
expect:
  - { audit: clean }
";

/// Two containers are disrupted at once, for longer than the test.
const LONG: &str = "\
name: long
shop: { products: 100, customers: 50, replicas: { order: 2 } }
load: { mix: ordering, session: 3s, phases: [{ name: steady, for: 10m, arrivals: 1/s }] }
faults:
  - { name: order-down, at: 100ms, target: order/1, kind: kill, restart: 9m }
  - { name: payment-stalls, at: 100ms, for: 9m, target: payment, kind: pause }
";

/// Runs a command that uses this Docker.
fn run(test_dir: &TestDir, host: &str, args: &[&str]) -> Output {
    let mut command = test_dir.command(args);
    command.env("DOCKER_HOST", host).output().unwrap()
}

/// The record's row of a fault.
fn fault<'r>(record: &'r Value, name: &str) -> &'r Value {
    let mut rows = record["faults"].as_array().unwrap().iter();
    rows.find(|row| row["name"] == name).unwrap()
}

/// Whether `faults.jsonl` has an event of a fault: `in_force`, `refused`, …
fn has_event(test_dir: &TestDir, name: &str, event: &str) -> bool {
    let faults = test_dir.run_dir().join("faults.jsonl");
    let text = std::fs::read_to_string(faults).unwrap_or_default();
    // The last line may be incomplete.
    let mut events = text
        .lines()
        .filter_map(|l| serde_json::from_str::<Value>(l).ok());
    events.any(|e| e["fault"] == name && e["event"] == event)
}

#[test]
fn a_run_disrupts_containers_and_restores_them() {
    let (fake, test_dir) = (Fake::shop(PROJECT), TestDir::with(DISRUPTED));
    let output = run(&test_dir, &fake.host, &["run", "s.yaml", "--docker=stall"]);
    let message = format!(
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        stderr(&output)
    );
    assert_eq!(output.status.code(), Some(0), "{message}");
    let record = test_dir.record();
    assert_eq!(record["verdict"], "pass", "{message}");
    assert_eq!(
        record["crashes"].as_array().map_or(0, Vec::len),
        0,
        "{message}"
    );
    for name in ["order-down", "bank-slow", "payment-stalls"] {
        let row = fault(&record, name);
        assert!(row["hits"].as_u64().unwrap() > 0, "{row}");
        assert!(row["trouble"].is_null(), "{row}");
    }
    let intervals = std::fs::read_to_string(test_dir.run_dir().join("intervals.jsonl")).unwrap();
    assert!(intervals.contains(r#""order/1":"down""#), "{intervals}");
    assert!(intervals.contains(r#""payment/0":"paused""#), "{intervals}");
    let resources = record["resources"].as_array().unwrap();
    assert_eq!(resources.len(), 10);
    assert_eq!(
        resources[0]["peak_rss_bytes"], 8_000_000,
        "without the cache"
    );
    let topology = json(&test_dir.run_dir().join("topology.json"));
    assert_eq!(topology.as_array().unwrap().len(), 10);

    assert!(fake.all_run(), "{:?}", fake.statuses());
    assert_eq!(
        fake.state().actions,
        [
            "kill stall-order-1",
            "start stall-order-1",
            "pause stall-payment-0",
            "unpause stall-payment-0"
        ]
    );
}

#[test]
fn a_run_that_dies_leaves_no_container_down_or_paused() {
    let (fake, test_dir) = (Fake::shop(PROJECT), TestDir::with(LONG));
    for how in ["-KILL", "-INT"] {
        let mut child = test_dir
            .command(&["run", "s.yaml", "--docker=stall", "--quiet"])
            .env("DOCKER_HOST", &fake.host)
            .spawn()
            .unwrap();
        until("both faults", || {
            let statuses = fake.statuses();
            let both = (statuses["stall-order-1"], statuses["stall-payment-0"]);
            (both == ("exited", "paused")).then_some(())
        });
        signal(&child, how);
        wait(&mut child);
        until("the containers to run", || fake.all_run().then_some(()));
    }
}

#[test]
fn a_pause_ends_in_time_even_if_the_run_is_stopped() {
    let stalls = LONG.replace("for: 9m, target: payment", "for: 2s, target: payment");
    let (fake, test_dir) = (Fake::shop(PROJECT), TestDir::with(&stalls));
    let mut child = test_dir
        .command(&["run", "s.yaml", "--docker=stall", "--quiet"])
        .env("DOCKER_HOST", &fake.host)
        .spawn()
        .unwrap();
    until("the pause", || {
        (fake.statuses()["stall-payment-0"] == "paused").then_some(())
    });
    signal(&child, "-STOP");
    until("the pause's end", || {
        (fake.statuses()["stall-payment-0"] == "running").then_some(())
    });
    signal(&child, "-CONT");
    signal(&child, "-INT");
    wait(&mut child);
    until("the containers to run", || fake.all_run().then_some(()));
}

#[test]
fn the_containers_state_decides_when_docker_does_not_answer() {
    let odd = LONG.to_owned()
        + "  - { name: cart-down, at: 100ms, target: cart, kind: kill, restart: 9m }\n";
    let (fake, test_dir) = (Fake::shop(PROJECT), TestDir::with(&odd));
    fake.state().failing.extend([
        // It is down, and cannot be inspected for a while.
        FailingRequest {
            call: "json stall-order-1",
            after: Some("kill stall-order-1"),
            times: 5,
            failure: Failure::Status(503),
        },
        FailingRequest {
            call: "pause stall-payment-0",
            after: None,
            times: 1,
            failure: Failure::ResponseLost,
        },
        // It still runs, and the kill may happen later.
        FailingRequest {
            call: "kill stall-cart-0",
            after: None,
            times: 1,
            failure: Failure::Status(500),
        },
    ]);
    let mut child = test_dir
        .command(&["run", "s.yaml", "--docker=stall", "--quiet"])
        .env("DOCKER_HOST", &fake.host)
        .spawn()
        .unwrap();
    until("an action", || {
        (!fake.state().actions.is_empty()).then_some(())
    });
    until("two faults in force and one refused", || {
        let message = has_event(&test_dir, "order-down", "in_force")
            && has_event(&test_dir, "payment-stalls", "in_force")
            && has_event(&test_dir, "cart-down", "refused");
        message.then_some(())
    });
    let statuses = fake.statuses();
    assert_eq!(statuses["stall-order-1"], "exited");
    assert_eq!(statuses["stall-payment-0"], "paused");
    assert_eq!(statuses["stall-cart-0"], "running");

    for container in &mut fake.state().containers {
        if container.name == "stall-cart-0" {
            container.die();
        }
    }
    until("the late kill to be undone", || {
        (fake.statuses()["stall-cart-0"] == "running").then_some(())
    });
    signal(&child, "-INT");
    wait(&mut child);
    until("the containers to run", || fake.all_run().then_some(()));
    let crashes = &test_dir.record()["crashes"];
    assert_eq!(crashes.as_array().map_or(0, Vec::len), 0, "{crashes}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_guard_that_cannot_write_its_log_still_restores_containers() {
    let mut paused = Container::without_process(PROJECT, "payment", 0);
    paused.status = "paused";
    let (fake, test_dir) = (Fake::with(vec![paused]), TestDir::with(DISRUPTED));
    let mut guard = test_dir
        .command(&["chaos", "guard"])
        .env("DOCKER_HOST", &fake.host)
        .stdin(Stdio::piped())
        .stderr(File::options().write(true).open("/dev/full").unwrap())
        .spawn()
        .unwrap();
    let mut pipe = guard.stdin.take().unwrap();
    pipe.write_all(b"resume stall-payment-0 600000\n").unwrap();
    drop(pipe);
    let (status, _) = wait(&mut guard);
    assert!(status.success());
    assert_eq!(fake.state().actions, ["unpause stall-payment-0"]);
}

#[test]
fn the_harness_serves_its_metrics_where_containers_scrape_them() {
    let (fake, test_dir) = (Fake::shop(PROJECT), TestDir::with(LONG));
    let mut child = test_dir
        .command(&["run", "s.yaml", "--docker=stall"])
        .env("DOCKER_HOST", &fake.host)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = until("the address of the metrics", || {
        let line = lines.next().expect("the run has ended").unwrap();
        line.contains("/metrics").then_some(line)
    });
    let (_, rest) = line.split_once("http://").unwrap();
    let (address, rest) = rest.split_once("/metrics").unwrap();
    // Another run on this machine may have the port.
    let found = rest.contains("host.docker.internal:9464");
    assert!(found || rest.contains("port 9464 is taken"), "{line}");
    if found && cfg!(target_os = "linux") {
        assert_eq!(address, format!("{GATEWAY}:9464"));
    }
    let address = address.parse().unwrap();
    let bearer = format!("Bearer {TOKEN}");
    let me = ("Authorization", bearer.as_str());
    let page = |headers: &[(&str, &str)]| http(address, "GET", "/metrics", headers, &Value::Null);
    assert_eq!(page(&[]).0, 401, "the token is required");
    let (status, body) = page(&[me]);
    assert_eq!(status, 200);
    assert!(body.contains("loadgen_phase_active"), "{body}");
    signal(&child, "-INT");
    wait(&mut child);
}

#[test]
fn faults_and_audits_find_the_shop_in_docker() {
    let (fake, test_dir) = (Fake::shop(PROJECT), TestDir::with(DISRUPTED));
    let message = |args: &[&str]| {
        let output = run(&test_dir, &fake.host, args);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    // The services may still be starting.
    until("the shop", || {
        let output = run(&test_dir, &fake.host, &["chaos", "list", "--docker=stall"]);
        let notes = stderr(&output);
        (output.status.success() && notes.is_empty()).then_some(())
    });
    let bank = "target: bank, kind: latency, delay: 5ms, for: 10m";
    message(&["chaos", "inject", bank, "--detach", "--docker=stall"]);
    let listed = message(&["chaos", "list", "--docker=stall"]);
    assert!(listed.contains("latency-bank"), "{listed}");
    let cleared = message(&["chaos", "clear", "--docker=stall"]);
    assert!(
        cleared.contains("ended latency-bank at bank/0"),
        "{cleared}"
    );
    let audited = message(&["audit", "--docker=stall"]);
    assert!(audited.contains("no contradiction"), "{audited}");
}

#[test]
fn unsupported_options_and_faults_are_refused_before_the_run() {
    let test_dir = TestDir::with(&DISRUPTED.replace(
        "expect:",
        "  - { name: cut, at: 3s, for: 1s, target: payment->bank, kind: tcp-reset }\n  - { name: late, at: 8s, target: cart, kind: slow-start, delay: 500ms }\nexpect:",
    ));
    // Docker is not there, and is not needed for the refusal.
    let no_docker = "unix:///nowhere/docker.sock";
    let output = run(
        &test_dir,
        no_docker,
        &["run", "s.yaml", "--docker", "--without", "retries"],
    );
    assert_eq!(output.status.code(), Some(1));
    let message = stderr(&output);
    for part in [
        "--without",
        "fault cut (tcp-reset",
        "fault late (slow-start",
        "restart`",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert!(!test_dir.path().join("runs").exists(), "no run has started");
    let up = run(&test_dir, no_docker, &["up", "s.yaml", "--docker"]);
    assert!(stderr(&up).contains("docker compose up"), "{}", stderr(&up));
}

#[test]
fn a_missing_or_incomplete_shop_is_refused_with_a_hint() {
    let test_dir = TestDir::with(DISRUPTED);
    let refused = |host: &str, parts: &[&str]| {
        let output = run(
            &test_dir,
            host,
            &["run", "s.yaml", "--quiet", "--docker=stall"],
        );
        assert_eq!(output.status.code(), Some(1));
        let message = stderr(&output);
        for part in parts {
            assert!(message.contains(part), "{message}");
        }
    };
    refused(
        "unix:///nowhere/docker.sock",
        &["no such socket", "DOCKER_HOST"],
    );
    refused("tcp://127.0.0.1:1", &["nothing listens there"]);
    refused("ssh://me@there", &["DOCKER_HOST", "tcp://"]);

    let container = |role, n| Container::without_process(PROJECT, role, n);
    let others = Fake::with(vec![Container::without_process("market", "order", 0)]);
    refused(&others.host, &["`stall` has no shop", "there are market"]);
    let few = Fake::with(vec![container("order", 0), container("gateway", 0)]);
    refused(&few.host, &["the shop has no user", "doorbuster.role=user"]);

    let roles = [
        "gateway",
        "user",
        "product",
        "inventory",
        "cart",
        "order",
        "payment",
        "notification",
        "bank",
    ];
    let all = || {
        roles
            .map(|role| container(role, 0))
            .into_iter()
            .collect::<Vec<_>>()
    };
    let whole = Fake::with(all());
    refused(&whole.host, &["not published", "9080"]);
    whole.state().containers[3].status = "exited";
    refused(&whole.host, &["docker start stall-inventory-0"]);
    whole.state().containers[3].status = "paused";
    refused(&whole.host, &["docker unpause stall-inventory-0"]);
    whole.state().containers.push(container("order", 2));
    refused(&whole.host, &["replicas of order are [0, 2]"]);
    assert!(whole.state().actions.is_empty(), "no container was changed");

    let shop = Fake::shop(PROJECT);
    let mut load = container("gateway", 0);
    load.labels.remove("doorbuster.role");
    load.labels
        .insert("com.docker.compose.service".to_owned(), "crowd".to_owned());
    shop.state().containers.push(load);
    refused(
        &shop.host,
        &[
            "sends load to the shop",
            "docker compose -p stall stop crowd",
        ],
    );
    shop.state().containers.pop();
    let more = TestDir::with(&DISRUPTED.replace("products: 100", "products: 300"));
    let output = run(
        &more,
        &shop.host,
        &["run", "s.yaml", "--quiet", "--docker=stall"],
    );
    let message = stderr(&output);
    assert!(
        message.contains("the scenario has 300, the shop 100"),
        "{message}"
    );
    assert!(shop.state().actions.is_empty(), "no container was changed");
}
