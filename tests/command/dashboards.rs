//! Tests dashboards and rules without a Prometheus: every expression refers to series that a shop exposes, and dashboards follow
//! the rules of a linter. `.ci/prometheus` evaluates the same expressions in a real Prometheus.

mod lint;
mod page;
mod query;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use saphyr::{LoadableYamlNode, Yaml};
use serde_json::{Value, json};
use shop_contract::user::{SEEDED_PASSWORD, seeded_email};

use crate::harness::{RunningShop, http, json as read_json, signal, until, wait};
use lint::list;
use page::Series;

/// Series that Prometheus adds: `up` of every target, and the alerts of the rules.
const PROMETHEUS: &str = r#"
up{job="",instance="",service="*",replica="*"} 1
ALERTS{alertname="*",alertstate="firing",severity="*",window="*",slo="*",service_name="*",server_address="*",service="*",replica="*"} 1
"#;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("dashboards")
        .join(name)
}

/// The files of a folder with an ending, and their names.
fn files(name: &str, end: &str) -> Vec<(String, PathBuf)> {
    let mut found: Vec<_> = std::fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?.strip_suffix(end)?.to_owned();
            Some((name, path))
        })
        .collect();
    found.sort();
    assert!(!found.is_empty(), "{name} is empty");
    found
}

fn boards() -> Vec<(String, Value)> {
    let read = |(name, path): (String, PathBuf)| (name, read_json(&path));
    files("grafana", ".json").into_iter().map(read).collect()
}

/// A rule: the file that it is in, its name, whether it is an alert, its labels and its expression.
struct Rule {
    location: String,
    name: String,
    alert: bool,
    labels: Vec<(String, String)>,
    annotations: Vec<(String, String)>,
    expression: String,
}

fn rules() -> Vec<Rule> {
    let mut rules = Vec::new();
    for (file, path) in files("prometheus/rules", ".yml") {
        let text = std::fs::read_to_string(path).unwrap();
        let documents = Yaml::load_from_str(&text).unwrap();
        let groups = documents[0].as_mapping_get("groups").unwrap();
        for group in groups.as_sequence().unwrap() {
            let of_group = group.as_mapping_get("rules").unwrap();
            for rule in of_group.as_sequence().unwrap() {
                let text = |key| rule.as_mapping_get(key).and_then(Yaml::as_str);
                let name = text("record").or(text("alert")).unwrap().to_owned();
                rules.push(Rule {
                    location: format!("{file}, {name}"),
                    name,
                    alert: text("alert").is_some(),
                    labels: pairs(rule, "labels"),
                    annotations: pairs(rule, "annotations"),
                    expression: text("expr").unwrap().to_owned(),
                });
            }
        }
    }
    rules
}

fn pairs(rule: &Yaml<'_>, key: &str) -> Vec<(String, String)> {
    let Some(found) = rule.as_mapping_get(key).and_then(Yaml::as_mapping) else {
        return Vec::new();
    };
    let text = |y: &Yaml<'_>| y.as_str().unwrap_or_default().to_owned();
    found.iter().map(|(k, v)| (text(k), text(v))).collect()
}

/// The series of all processes of a shop after a sale and a fault, of a load, and of Prometheus itself.
fn exposed() -> Series {
    // The limit of traces is only exported with a receiver. It need not answer.
    let shop = RunningShop::open(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")]);
    let login = json!({"email": seeded_email(0), "password": SEEDED_PASSWORD});
    let (_, session) = shop.call("POST", "/users/login", &[], &login);
    let token = format!("Bearer {}", session["token"].as_str().unwrap());
    let me = ("Authorization", token.as_str());
    for page in ["/products", "/products/p-00001"] {
        assert_eq!(shop.call("GET", page, &[], &Value::Null).0, 200);
    }
    shop.call("PUT", "/cart/items/p-00001", &[me], &json!({"quantity": 1}));
    let key = ("Idempotency-Key", "k");
    let (status, order) = shop.call("POST", "/orders", &[me, key], &json!({"card": "tok_good"}));
    assert_eq!(status, 201, "{order}");

    let targets = read_json(&shop.run_dir().with_extension("targets.json"));
    let admins: Vec<(String, SocketAddr)> = list(&targets)
        .iter()
        .map(|group| {
            let service = group["labels"]["service"].as_str().unwrap().to_owned();
            let address = group["targets"][0].as_str().unwrap().parse().unwrap();
            (service, address)
        })
        .collect();
    let page = |address| {
        let page = http(address, "GET", "/metrics", &[], &Value::Null).1;
        assert!(page.ends_with("# EOF\n"), "no OpenMetrics page: {page}");
        page
    };
    let one = |service: &str| admins.iter().find(|(s, _)| s == service).unwrap().1;
    // A fault makes the services export the series of faults.
    let fault = json!({"name": "f", "kind": "latency", "ttl_ms": 1, "share": 1.0, "seed": 1,
        "delay_us": 1, "jitter_us": 0});
    let status = http(one("bank"), "POST", "/faults", &[], &fault).0;
    assert_eq!(status, 201);
    until("the events of the order", || {
        let message = page(one("notification"));
        let message = message.contains("messaging_process_duration_seconds_count{");
        // The sender counts after the receiver.
        let orders = admins.iter().filter(|(s, _)| s == "order");
        let sent = orders
            .map(|(_, address)| page(*address))
            .any(|p| p.contains("subscriber=\"notification\""));
        (message && sent).then_some(())
    });

    let mut there = Series::default();
    for (_, address) in &admins {
        there.read(&page(*address));
    }
    there.read(PROMETHEUS);
    there.read(&load_page(&shop));
    // Outcomes of failed steps are not known beforehand, and queues per role exist only with NATS.
    let failed = [("step", "*"), ("outcome", "*")];
    there.add("loadgen_request_duration_seconds_count", failed);
    let waits = [("service_name", "*"), ("queue", "shop.orders")];
    there.add("shop_queue_depth", waits);
    there
}

/// The metrics page of a load, after its first response.
fn load_page(shop: &RunningShop) -> String {
    let target = format!("http://{}", shop.gateway);
    let mut load = shop.spawn(&["load", "s.yaml", "--target", &target, "--out", "visits"]);
    let mut message = BufReader::new(load.stderr.take().unwrap()).lines();
    let address: SocketAddr = until("the address of the metrics", || {
        let line = message.next().expect("the load has not started").unwrap();
        let (_, address) = line.split_once("their metrics: http://")?;
        address.strip_suffix("/metrics")?.parse().ok()
    });
    let page = until("a response to the load", || {
        let page = http(address, "GET", "/metrics", &[], &Value::Null).1;
        let counted = |l: &str| {
            l.starts_with("loadgen_request_duration_seconds_count{") && !l.ends_with(" 0")
        };
        page.lines().any(counted).then_some(page)
    });
    signal(&load, "-INT");
    wait(&mut load);
    page
}

/// Adds the series of the recording rules, and gives the mistakes in the rules.
fn record(there: &mut Series) -> Vec<String> {
    let mut wrong = Vec::new();
    // The order of files and groups does not matter to Prometheus, so a rule may come before the rules that it needs.
    let mut waiting = rules();
    loop {
        let (before, mut left) = (waiting.len(), Vec::new());
        for rule in waiting {
            let (mistakes, labels) = query::check(&rule.expression, there);
            if mistakes.is_empty() {
                if !rule.alert {
                    let own = rule.labels.iter().map(|(l, v)| (l.as_str(), v.as_str()));
                    let made = labels.iter().map(|l| (l.as_str(), "*"));
                    there.add(&rule.name, made.chain(own));
                }
            } else {
                left.push((rule, mistakes));
            }
        }
        if left.is_empty() || left.len() == before {
            for (rule, mistakes) in left {
                wrong.extend(mistakes.iter().map(|m| format!("{}: {m}", rule.location)));
            }
            return wrong;
        }
        waiting = left.into_iter().map(|(rule, _)| rule).collect();
    }
}

#[test]
fn every_panel_and_rule_uses_series_that_a_shop_exposes() {
    let mut there = exposed();
    let mut wrong = record(&mut there);
    let mut asked = 0;
    for (name, board) in boards() {
        let mut ask = |location: &str, expression: &str| {
            asked += 1;
            let (mistakes, _) = query::check(&query::filled_in(expression), &there);
            wrong.extend(
                mistakes
                    .iter()
                    .map(|m| format!("{name}, {location}: {m}, in {expression}")),
            );
        };
        for panel in list(&board["panels"]) {
            for target in list(&panel["targets"]) {
                if target["datasource"]["type"] == "prometheus" {
                    let title = panel["title"].as_str().unwrap();
                    ask(title, target["expr"].as_str().unwrap());
                }
            }
        }
        for note in list(&board["annotations"]["list"]) {
            ask("annotation", note["expr"].as_str().unwrap());
        }
        for variable in list(&board["templating"]["list"]) {
            let Some(query) = variable["query"]["query"].as_str() else {
                continue;
            };
            let inner = query
                .trim_start_matches("label_values(")
                .trim_end_matches(')');
            let (metric, label) = inner.rsplit_once(", ").unwrap();
            ask("variable", &format!("sum by ({label}) ({metric})"));
        }
    }
    assert!(asked > 100, "only {asked} expressions were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn dashboards_follow_the_linter() {
    let boards = boards();
    let wrong: Vec<String> = boards
        .iter()
        .flat_map(|(name, board)| lint::dashboard(name, board))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let titles: BTreeSet<&str> = boards
        .iter()
        .filter_map(|(_, b)| b["title"].as_str())
        .collect();
    assert_eq!(titles.len(), boards.len(), "two dashboards have one title");
}

#[test]
fn every_alert_has_a_description_and_a_dashboard() {
    let known: BTreeSet<String> = boards()
        .iter()
        .map(|(_, board)| board["uid"].as_str().unwrap().to_owned())
        .collect();
    let alerts: Vec<Rule> = rules().into_iter().filter(|r| r.alert).collect();
    assert!(!alerts.is_empty(), "there are no alerts");
    for alert in alerts {
        let find = |of: &[(String, String)], key: &str| {
            let found = of.iter().find(|(k, _)| k == key);
            let found = found.map(|(_, v)| v.clone()).unwrap_or_default();
            assert!(!found.is_empty(), "{} has no {key}", alert.location);
            found
        };
        find(&alert.annotations, "summary");
        find(&alert.annotations, "description");
        let dashboard = find(&alert.annotations, "dashboard");
        let uid = dashboard.rsplit('/').next().unwrap_or_default();
        assert!(known.contains(uid), "{}: there is no {uid}", alert.location);
        let severity = find(&alert.labels, "severity");
        assert!(["page", "ticket"].contains(&severity.as_str()));
        let window = find(&alert.labels, "window");
        assert!(["demo", "production"].contains(&window.as_str()));
    }
}

#[test]
fn every_kind_of_fault_has_panels_that_show_its_effect() {
    let boards = boards();
    let panels: BTreeSet<String> = boards
        .iter()
        .flat_map(|(name, board)| {
            let titles = list(&board["panels"]).iter();
            titles.map(move |p| format!("{name}/{}", p["title"].as_str().unwrap()))
        })
        .collect();
    let moves = read_json(&folder("moves.json"));
    let rows = list(&moves["moves"]);
    for row in rows {
        let panel = row["panel"].as_str().unwrap();
        assert!(panels.contains(panel), "there is no panel {panel}");
    }
    for kind in chaos::KINDS {
        // Panels that only list faults do not count: a panel must show the effect.
        let shows = |row: &&Value| {
            let panel = row["panel"].as_str().unwrap_or_default();
            row["fault"] == kind.name
                && !panel.ends_with("Faults")
                && !panel.contains("faults touched")
        };
        assert!(
            rows.iter().any(|row| shows(&row)),
            "no panel shows what `{}` does",
            kind.name
        );
    }
}
