//! `doorbuster health`, the health check of containers.

use shop_kit::net::Lease;

use crate::harness::{RunningShop, json, stderr};

#[test]
fn health_succeeds_only_for_a_service_that_is_ready() {
    let shop = RunningShop::open(&[]);
    let topology = json(&shop.run_dir().join("topology.json"));
    for process in topology.as_array().unwrap() {
        let admin = process["admin"].as_str().unwrap();
        let output = shop.run(&["health", "--admin", admin]);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let reserved = Lease::take(([127, 0, 0, 1], 0).into()).unwrap();
    let address = reserved.address().to_string();
    let output = shop.run(&["health", "--admin", &address]);
    assert_eq!(output.status.code(), Some(1));
    let message = stderr(&output);
    assert!(
        message.contains(&address) && message.contains("--admin"),
        "{message}"
    );
}
