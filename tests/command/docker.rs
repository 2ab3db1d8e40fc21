//! A shop in containers, through a Docker that is stood in for: found, run against, struck, mended, and left as it was.

mod fake;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::harness::{Place, http, json, signal, stderr, until, wait};
use fake::{Container, Fake, GATEWAY, How, TOKEN, Upset};

const PROJECT: &str = "stall";

/// Some seconds in which a container is killed, another one paused, and a third told of a fault.
const STRUCK: &str = "\
name: struck
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

/// Two containers are struck at once, and nothing is to end it but the run's own end.
const FOR_EVER: &str = "\
name: for-ever
shop: { products: 100, customers: 50, replicas: { order: 2 } }
load: { mix: ordering, session: 3s, phases: [{ name: steady, for: 10m, arrivals: 1/s }] }
faults:
  - { name: order-down, at: 100ms, target: order/1, kind: kill, restart: 9m }
  - { name: payment-stalls, at: 100ms, for: 9m, target: payment, kind: pause }
";

/// A command that finds this Docker.
fn run(place: &Place, host: &str, args: &[&str]) -> Output {
    let mut command = place.command(args);
    command.env("DOCKER_HOST", host).output().unwrap()
}

/// The record's row of a fault.
fn fault<'r>(record: &'r Value, name: &str) -> &'r Value {
    let mut rows = record["faults"].as_array().unwrap().iter();
    rows.find(|row| row["name"] == name).unwrap()
}

/// Whether something has happened to a fault by now: `in_force`, `refused`, …
fn is_told(place: &Place, name: &str, event: &str) -> bool {
    let faults = place.run_dir().join("faults.jsonl");
    let text = std::fs::read_to_string(faults).unwrap_or_default();
    // The last one may not be whole yet.
    let mut events = text
        .lines()
        .filter_map(|l| serde_json::from_str::<Value>(l).ok());
    events.any(|e| e["fault"] == name && e["event"] == event)
}

#[test]
fn a_run_strikes_containers_and_leaves_them_as_they_were() {
    let (fake, place) = (Fake::shop(PROJECT), Place::with(STRUCK));
    let output = run(&place, &fake.host, &["run", "s.yaml", "--docker=stall"]);
    let said = format!(
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        stderr(&output)
    );
    assert_eq!(output.status.code(), Some(0), "{said}");
    let record = place.record();
    assert_eq!(record["verdict"], "pass", "{said}");
    assert_eq!(
        record["crashes"].as_array().map_or(0, Vec::len),
        0,
        "{said}"
    );
    for name in ["order-down", "bank-slow", "payment-stalls"] {
        let row = fault(&record, name);
        assert!(row["hits"].as_u64().unwrap() > 0, "{row}");
        assert!(row["trouble"].is_null(), "{row}");
    }
    let intervals = std::fs::read_to_string(place.run_dir().join("intervals.jsonl")).unwrap();
    assert!(intervals.contains(r#""order/1":"down""#), "{intervals}");
    assert!(intervals.contains(r#""payment/0":"paused""#), "{intervals}");
    let resources = record["resources"].as_array().unwrap();
    assert_eq!(resources.len(), 10);
    assert_eq!(
        resources[0]["peak_rss_bytes"], 8_000_000,
        "without the cache"
    );
    let topology = json(&place.run_dir().join("topology.json"));
    assert_eq!(topology.as_array().unwrap().len(), 10);

    assert!(fake.all_run(), "{:?}", fake.statuses());
    assert_eq!(
        fake.state().deeds,
        [
            "kill stall-order-1",
            "start stall-order-1",
            "pause stall-payment-0",
            "unpause stall-payment-0"
        ]
    );
}

#[test]
fn a_run_that_dies_leaves_no_container_dead_or_paused() {
    let (fake, place) = (Fake::shop(PROJECT), Place::with(FOR_EVER));
    for how in ["-KILL", "-INT"] {
        let mut child = place
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
        until("the containers to go on", || fake.all_run().then_some(()));
    }
}

#[test]
fn a_pause_ends_in_its_time_also_while_the_run_stands_still() {
    let stalls = FOR_EVER.replace("for: 9m, target: payment", "for: 2s, target: payment");
    let (fake, place) = (Fake::shop(PROJECT), Place::with(&stalls));
    let mut child = place
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
    until("the containers to go on", || fake.all_run().then_some(()));
}

#[test]
fn what_is_seen_decides_where_docker_does_not_answer() {
    let odd = FOR_EVER.to_owned()
        + "  - { name: cart-down, at: 100ms, target: cart, kind: kill, restart: 9m }\n";
    let (fake, place) = (Fake::shop(PROJECT), Place::with(&odd));
    fake.state().upsets.extend([
        // It is dead, and cannot be looked at for a while.
        Upset {
            call: "json stall-order-1",
            after: Some("kill stall-order-1"),
            times: 5,
            how: How::Answered(503),
        },
        Upset {
            call: "pause stall-payment-0",
            after: None,
            times: 1,
            how: How::DoneAndLost,
        },
        // It lives on, and nobody knows for how long.
        Upset {
            call: "kill stall-cart-0",
            after: None,
            times: 1,
            how: How::Answered(500),
        },
    ]);
    let mut child = place
        .command(&["run", "s.yaml", "--docker=stall", "--quiet"])
        .env("DOCKER_HOST", &fake.host)
        .spawn()
        .unwrap();
    until("an order", || {
        (!fake.state().deeds.is_empty()).then_some(())
    });
    until("two faults in force and one refused", || {
        let told = is_told(&place, "order-down", "in_force")
            && is_told(&place, "payment-stalls", "in_force")
            && is_told(&place, "cart-down", "refused");
        told.then_some(())
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
    until("the late death to be undone", || {
        (fake.statuses()["stall-cart-0"] == "running").then_some(())
    });
    signal(&child, "-INT");
    wait(&mut child);
    until("the containers to go on", || fake.all_run().then_some(()));
    let crashes = &place.record()["crashes"];
    assert_eq!(crashes.as_array().map_or(0, Vec::len), 0, "{crashes}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_guard_that_cannot_write_its_log_mends_all_the_same() {
    let mut paused = Container::on_paper(PROJECT, "payment", 0);
    paused.status = "paused";
    let (fake, place) = (Fake::with(vec![paused]), Place::with(STRUCK));
    let mut guard = place
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
    assert_eq!(fake.state().deeds, ["unpause stall-payment-0"]);
}

#[test]
fn the_harness_shows_its_metrics_where_containers_look_for_them() {
    let (fake, place) = (Fake::shop(PROJECT), Place::with(FOR_EVER));
    let mut child = place
        .command(&["run", "s.yaml", "--docker=stall"])
        .env("DOCKER_HOST", &fake.host)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = until("the page's address", || {
        let line = lines.next().expect("the run goes on").unwrap();
        line.contains("/metrics").then_some(line)
    });
    let (_, rest) = line.split_once("http://").unwrap();
    let (address, rest) = rest.split_once("/metrics").unwrap();
    // Another run of this machine may have the port.
    let found = rest.contains("host.docker.internal:9464");
    assert!(found || rest.contains("port 9464 is taken"), "{line}");
    if found && cfg!(target_os = "linux") {
        assert_eq!(address, format!("{GATEWAY}:9464"));
    }
    let address = address.parse().unwrap();
    let bearer = format!("Bearer {TOKEN}");
    let me = ("Authorization", bearer.as_str());
    let page = |headers: &[(&str, &str)]| http(address, "GET", "/metrics", headers, &Value::Null);
    assert_eq!(page(&[]).0, 401, "it wants the services' token");
    let (status, body) = page(&[me]);
    assert_eq!(status, 200);
    assert!(body.contains("loadgen_phase_active"), "{body}");
    signal(&child, "-INT");
    wait(&mut child);
}

#[test]
fn faults_and_audits_find_the_shop_in_docker() {
    let (fake, place) = (Fake::shop(PROJECT), Place::with(STRUCK));
    let told = |args: &[&str]| {
        let output = run(&place, &fake.host, args);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    // Its services are asked as soon as they are started.
    until("the shop", || {
        let output = run(&place, &fake.host, &["chaos", "list", "--docker=stall"]);
        let silent = stderr(&output);
        (output.status.success() && silent.is_empty()).then_some(())
    });
    let bank = "target: bank, kind: latency, delay: 5ms, for: 10m";
    told(&["chaos", "inject", bank, "--detach", "--docker=stall"]);
    let listed = told(&["chaos", "list", "--docker=stall"]);
    assert!(listed.contains("latency-bank"), "{listed}");
    let cleared = told(&["chaos", "clear", "--docker=stall"]);
    assert!(
        cleared.contains("ended latency-bank at bank/0"),
        "{cleared}"
    );
    let audited = told(&["audit", "--docker=stall"]);
    assert!(audited.contains("no contradiction"), "{audited}");
}

#[test]
fn what_containers_cannot_do_is_said_before_anything_is_touched() {
    let place = Place::with(&STRUCK.replace(
        "expect:",
        "  - { name: cut, at: 3s, for: 1s, target: payment->bank, kind: tcp-reset }\n  - { name: late, at: 8s, target: cart, kind: slow-start, delay: 500ms }\nexpect:",
    ));
    // Nobody is there, and nobody is asked.
    let nobody = "unix:///nowhere/docker.sock";
    let output = run(
        &place,
        nobody,
        &["run", "s.yaml", "--docker", "--without", "retries"],
    );
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    for part in [
        "--without",
        "fault cut (tcp-reset",
        "fault late (slow-start",
        "restart`",
    ] {
        assert!(told.contains(part), "{told}");
    }
    assert!(!place.path().join("runs").exists(), "no run has begun");
    let up = run(&place, nobody, &["up", "s.yaml", "--docker"]);
    assert!(stderr(&up).contains("docker compose up"), "{}", stderr(&up));
}

#[test]
fn a_shop_that_is_not_there_or_not_whole_is_refused_with_what_to_do() {
    let place = Place::with(STRUCK);
    let refused = |host: &str, parts: &[&str]| {
        let output = run(
            &place,
            host,
            &["run", "s.yaml", "--quiet", "--docker=stall"],
        );
        assert_eq!(output.status.code(), Some(1));
        let told = stderr(&output);
        for part in parts {
            assert!(told.contains(part), "{told}");
        }
    };
    refused(
        "unix:///nowhere/docker.sock",
        &["no such socket", "DOCKER_HOST"],
    );
    refused("tcp://127.0.0.1:1", &["nothing listens there"]);
    refused("ssh://me@there", &["DOCKER_HOST", "tcp://"]);

    let paper = |role, n| Container::on_paper(PROJECT, role, n);
    let others = Fake::with(vec![Container::on_paper("market", "order", 0)]);
    refused(&others.host, &["`stall` has no shop", "there are market"]);
    let few = Fake::with(vec![paper("order", 0), paper("gateway", 0)]);
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
            .map(|role| paper(role, 0))
            .into_iter()
            .collect::<Vec<_>>()
    };
    let whole = Fake::with(all());
    refused(&whole.host, &["not published", "9080"]);
    whole.state().containers[3].status = "exited";
    refused(&whole.host, &["docker start stall-inventory-0"]);
    whole.state().containers[3].status = "paused";
    refused(&whole.host, &["docker unpause stall-inventory-0"]);
    whole.state().containers.push(paper("order", 2));
    refused(&whole.host, &["replicas of order are [0, 2]"]);
    assert!(whole.state().deeds.is_empty(), "nothing was done");

    let shop = Fake::shop(PROJECT);
    let mut crowd = paper("gateway", 0);
    crowd.labels.remove("doorbuster.role");
    crowd
        .labels
        .insert("com.docker.compose.service".to_owned(), "crowd".to_owned());
    shop.state().containers.push(crowd);
    refused(
        &shop.host,
        &[
            "sends load to the shop",
            "docker compose -p stall stop crowd",
        ],
    );
    shop.state().containers.pop();
    let more = Place::with(&STRUCK.replace("products: 100", "products: 300"));
    let output = run(
        &more,
        &shop.host,
        &["run", "s.yaml", "--quiet", "--docker=stall"],
    );
    let told = stderr(&output);
    assert!(
        told.contains("the scenario has 300, the shop 100"),
        "{told}"
    );
    assert!(shop.state().deeds.is_empty(), "nothing was done");
}
