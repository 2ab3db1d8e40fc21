//! A shop in containers, through a Docker that is stood in for: found, run against, struck, mended, and left as it was.

mod fake;

use std::process::Output;

use serde_json::Value;

use crate::harness::{Place, json, signal, stderr, until, wait};
use fake::{Container, Fake};

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
    let stalls = FOR_EVER.replace("for: 9m, target: payment", "for: 500ms, target: payment");
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
    refused("tcp://127.0.0.1:1", &["nobody listens there"]);
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
        &["is shopping there", "docker compose -p stall stop crowd"],
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
