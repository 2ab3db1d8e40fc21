//! Every series that a panel asks for is exposed by a shop that has sold something.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use shop_contract::user::{SEEDED_PASSWORD, seeded_email};

use crate::harness::{Up, http, json as read_json};

/// The names in an expression that follow our families' spelling.
fn series(expression: &str) -> BTreeSet<String> {
    let families = ["http_", "db_", "messaging_", "shop_", "chaos_"];
    expression
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| families.iter().any(|f| word.starts_with(f)))
        // Labels have the same spelling as series; they are looked for as labels.
        .map(str::to_owned)
        .collect()
}

/// Everything that a metrics page names: its series and their labels.
fn exposed(page: &str) -> BTreeSet<String> {
    page.lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            let labels = line
                .split(['{', ','])
                .filter_map(|part| part.split_once("=\""));
            std::iter::once(name.to_owned()).chain(labels.map(|(label, _)| label.to_owned()))
        })
        .collect()
}

#[test]
fn every_panel_asks_for_series_that_a_running_shop_exposes() {
    let shop = Up::open(&[]);
    let login = json!({"email": seeded_email(0), "password": SEEDED_PASSWORD});
    let (_, session) = shop.call("POST", "/users/login", &[], &login);
    let token = format!("Bearer {}", session["token"].as_str().unwrap());
    let me = ("Authorization", token.as_str());
    shop.call("PUT", "/cart/items/p-00001", &[me], &json!({"quantity": 1}));
    let key = ("Idempotency-Key", "k");
    let (status, order) = shop.call("POST", "/orders", &[me, key], &json!({"card": "tok_good"}));
    assert_eq!(status, 201, "{order}");

    let mut there = BTreeSet::new();
    let targets = read_json(&shop.run_dir().with_extension("targets.json"));
    for group in targets.as_array().unwrap() {
        let address = group["targets"][0].as_str().unwrap().parse().unwrap();
        if group["labels"]["service"] == "bank" {
            // A fault that has been in force shows the series of faults.
            let fault = json!({"name": "f", "kind": "latency", "ttl_ms": 1, "share": 1.0, "seed": 1,
                "delay_us": 1, "jitter_us": 0});
            assert_eq!(http(address, "POST", "/faults", &[], &fault).0, 201);
        }
        let page = http(address, "GET", "/metrics", &[], &Value::Null).1;
        assert!(
            page.ends_with("# EOF\n"),
            "no OpenMetrics page at {address}: {page}"
        );
        there.extend(exposed(&page));
    }

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/grafana");
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let dashboard = read_json(&path);
        let panels = dashboard["panels"].as_array().unwrap().iter();
        let annotations = dashboard["annotations"]["list"].as_array().unwrap().iter();
        let targets = panels.flat_map(|p| p["targets"].as_array().unwrap());
        for expression in targets
            .chain(annotations)
            .map(|t| t["expr"].as_str().unwrap())
        {
            let names = series(expression);
            assert!(!names.is_empty(), "`{expression}` asks for nothing of ours");
            for name in names {
                assert!(
                    there.contains(&name),
                    "{}: nothing exposes `{name}` of `{expression}`",
                    path.display()
                );
            }
        }
    }
}
