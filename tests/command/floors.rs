//! The house as ARCHITECTURE.md has it: who may import whom.

use std::collections::BTreeSet;
use std::path::Path;

/// The crates of our own that a crate's code depends on; what only its tests need is not counted.
fn imports(folder: &str) -> BTreeSet<String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(folder)
        .join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let dependencies = text.split("[dependencies]").nth(1).unwrap_or_default();
    let dependencies = dependencies.split("\n[").next().unwrap_or_default();
    let name = |line: &str| {
        line.split(['.', ' ', '='])
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let ours = |name: &String| {
        name.starts_with("shop-")
            || ["syntax", "results", "loadgen", "chaos"].contains(&name.as_str())
    };
    dependencies.lines().map(name).filter(ours).collect()
}

fn allowed(folder: &str, may: &[&str]) {
    let may: BTreeSet<String> = may.iter().map(|s| (*s).to_owned()).collect();
    let strangers: Vec<_> = imports(folder).difference(&may).cloned().collect();
    assert!(strangers.is_empty(), "{folder} imports {strangers:?}");
}

#[test]
fn no_service_imports_another() {
    for service in [
        "gateway",
        "user",
        "product",
        "inventory",
        "cart",
        "order",
        "payment",
        "notification",
        "bank",
    ] {
        allowed(
            &format!("services/{service}"),
            &["shop-contract", "shop-kit", "shop-resilience"],
        );
    }
}

#[test]
fn each_floor_imports_only_from_below() {
    allowed("syntax", &[]);
    allowed("results", &["syntax"]);
    allowed("services/contract", &[]);
    allowed("services/resilience", &[]);
    allowed("services/kit", &["shop-contract", "shop-resilience"]);
    allowed("loadgen", &["syntax", "results", "shop-contract"]);
    allowed("chaos", &["syntax", "results", "shop-contract"]);
}
