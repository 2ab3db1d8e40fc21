//! `doorbuster health`: what containers ask themselves.

use shop_kit::net::Lease;

use crate::harness::{Up, json, stderr};

#[test]
fn a_service_that_is_ready_is_healthy_and_one_that_does_not_listen_is_not() {
    let shop = Up::open(&[]);
    let topology = json(&shop.run_dir().join("topology.json"));
    for process in topology.as_array().unwrap() {
        let admin = process["admin"].as_str().unwrap();
        let asked = shop.run(&["health", "--admin", admin]);
        assert!(asked.status.success(), "{}", stderr(&asked));
    }
    let nobody = Lease::take(([127, 0, 0, 1], 0).into()).unwrap();
    let address = nobody.address().to_string();
    let asked = shop.run(&["health", "--admin", &address]);
    assert_eq!(asked.status.code(), Some(1));
    let told = stderr(&asked);
    assert!(
        told.contains(&address) && told.contains("--admin"),
        "{told}"
    );
}
