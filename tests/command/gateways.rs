//! Several gateways on one address, and the rate limits of a gateway.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use shop_kit::net::Lease;

use crate::harness::{RunningShop, TestDir, http, json, until};

const TWO_GATEWAYS: &str = "\
name: two-gateways
shop: { products: 20, customers: 5, replicas: { gateway: 2 } }
load:
  mix: shopping
  phases: [ { name: steady, for: 1s, arrivals: 1/s } ]
";

/// The gateways of a shop: admin address and process id by replica.
fn gateways(shop: &RunningShop) -> BTreeMap<u64, (SocketAddr, u32)> {
    let topology = until("the topology", || {
        let text = std::fs::read_to_string(shop.run_dir().join("topology.json")).ok()?;
        serde_json::from_str::<Value>(&text).ok()
    });
    let rows = topology.as_array().unwrap().iter();
    rows.filter(|row| row["role"] == "gateway")
        .map(|row| {
            assert_eq!(
                row["address"],
                shop.gateway.to_string(),
                "one address for all"
            );
            let admin = row["admin"].as_str().unwrap().parse().unwrap();
            let pid = row["pid"].as_u64().unwrap() as u32;
            (row["replica"].as_u64().unwrap(), (admin, pid))
        })
        .collect()
}

/// The number of product list requests that a gateway has served.
fn served(admin: SocketAddr) -> u64 {
    let (_, page) = http(admin, "GET", "/metrics", &[], &Value::Null);
    page.lines()
        .filter(|l| l.starts_with("http_server_request_duration_seconds_count{"))
        .filter(|l| l.contains("http_route=\"/products\""))
        .filter_map(|l| l.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

#[test]
fn gateways_share_one_address_which_stays_open_when_one_is_killed() {
    let shop = RunningShop::with(TWO_GATEWAYS, &[]);
    let gateways = gateways(&shop);
    assert_eq!(gateways.len(), 2);
    let get = || shop.call("GET", "/products?limit=1", &[], &Value::Null).0;
    until("an answer of each gateway", || {
        assert_eq!(get(), 200);
        gateways
            .values()
            .all(|(admin, _)| served(*admin) > 0)
            .then_some(())
    });
    let (_, victim) = gateways[&1];
    let killed = Command::new("kill")
        .args(["-KILL", &victim.to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    // Wait until the process is gone: threads that still exit keep the socket open for a moment.
    let process = format!("/proc/{victim}");
    until("the end of one gateway", || {
        (!Path::new(&process).exists()).then_some(())
    });
    // Each on a new connection. Without a clean close, every other one would go to the killed gateway.
    for n in 0..40 {
        assert_eq!(get(), 200, "request {n} after the kill");
    }
}

#[test]
fn flags_set_the_rate_limits_of_a_gateway() {
    let test_dir = TestDir::with(TWO_GATEWAYS);
    // Reserves the ports: bound and never listened on.
    let leases = [(); 2].map(|()| Lease::take(([127, 0, 0, 1], 0).into()).unwrap());
    let [listen, admin] = leases.each_ref().map(Lease::address);
    let mut gateway = test_dir
        .command(&["serve", "gateway", "--address-burst", "2"])
        .env("DOORBUSTER_ADDRESS_RATE", "1")
        .env("DOORBUSTER_SERVICE_KEY", "k")
        .env("DOORBUSTER_LISTEN", listen.to_string())
        .env("DOORBUSTER_ADMIN", admin.to_string())
        .spawn()
        .unwrap();
    until("the gateway", || {
        std::net::TcpStream::connect(listen).is_ok().then_some(())
    });
    // No service is behind it. A refused request uses no budget, so one is refused soon, even on a slow machine.
    let ask = || http(listen, "GET", "/products", &[], &Value::Null);
    assert_eq!(ask().0, 503);
    let (_, problem) = until("a refusal", || Some(ask()).filter(|(s, _)| *s == 429));
    assert!(problem.contains("rate-limited"), "{problem}");
    gateway.kill().unwrap();
    gateway.wait().unwrap();
    let refused = test_dir.run(&["serve", "gateway", "--shopper-rate", "0"]);
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("--shopper-rate"), "{message}");
}

/// The hits of a killed gateway are in the record, even if no shopper noticed.
#[test]
fn the_kill_of_one_of_two_gateways_has_hits() {
    let test_dir = TestDir::with(&format!(
        "{}{}",
        TWO_GATEWAYS.replace("for: 1s, arrivals: 1/s", "for: 5s, arrivals: 5/s"),
        "faults: [ { name: one-gateway, at: 1s, target: gateway/1, kind: kill, restart: 2s } ]\n"
    ));
    test_dir.run(&["run", "s.yaml", "--port", "0", "--quiet"]);
    let record = json(&test_dir.run_dir().join("run.json"));
    let fault = &record["faults"][0];
    assert!(fault["hits"].as_u64().unwrap() > 0, "{record:#}");
    let all_failed = record["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|s| s["requests"].as_u64() > Some(5))
        .any(|s| s["ok"] == 0);
    assert!(!all_failed, "{record:#}");
}
