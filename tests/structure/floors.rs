//! Floors: a crate imports only crates from floors below its own.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use crate::workspace;

/// A crate of this workspace.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    /// Crates of this workspace that its code depends on. Dependencies of tests alone are not counted.
    pub(crate) imports: Vec<String>,
}

/// The crates of this workspace, from `cargo metadata`.
pub(crate) fn packages() -> &'static [Package] {
    static PACKAGES: LazyLock<Vec<Package>> = LazyLock::new(|| {
        let output = Command::new(env!("CARGO"))
            .args([
                "metadata",
                "--format-version",
                "1",
                "--no-deps",
                "--offline",
            ])
            .current_dir(workspace())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        metadata["packages"]
            .as_array()
            .unwrap()
            .iter()
            .map(package)
            .collect()
    });
    &PACKAGES
}

fn package(json: &Value) -> Package {
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let mut folder = PathBuf::from(text(&json["manifest_path"]));
    folder.pop();
    let imports = json["dependencies"].as_array().unwrap().iter();
    Package {
        name: text(&json["name"]),
        folder,
        imports: imports
            .filter(|d| !d["path"].is_null() && d["kind"].is_null())
            .map(|d| text(&d["name"]))
            .collect(),
    }
}

/// The floor of a crate. Crates of one floor do not import each other.
fn floor(name: &str) -> u8 {
    match name {
        "syntax" | "shop-contract" | "shop-resilience" => 0,
        "results" | "shop-kit" => 1,
        "loadgen" | "chaos" | "shop-audit" => 2,
        // Nine services, which do not import each other, and the crate that their tests share.
        service if service.starts_with("shop-") => 2,
        "doorbuster" => 3,
        other => panic!("{other} has no floor yet; give it one here and in ARCHITECTURE.md"),
    }
}

/// The side of a crate: services or harness. Only the command imports both.
fn side(name: &str) -> &'static str {
    match name {
        "shop-contract" => "both",
        "shop-audit" => "harness",
        name if name.starts_with("shop-") => "services",
        _ => "harness",
    }
}

fn violation(importer: &str, imported: &str) -> Option<String> {
    if floor(imported) >= floor(importer) {
        return Some(format!(
            "{importer} (floor {}) imports {imported} (floor {})",
            floor(importer),
            floor(imported)
        ));
    }
    let sides = (side(importer), side(imported));
    let crossing = matches!(sides, ("services", "harness") | ("harness", "services"));
    (crossing && importer != "doorbuster").then(|| {
        format!(
            "{importer} of the {} imports {imported} of the {}",
            sides.0, sides.1
        )
    })
}

#[test]
fn every_crate_imports_only_from_floors_below_its_own() {
    let found: Vec<String> = packages()
        .iter()
        .flat_map(|p| p.imports.iter().filter_map(|i| violation(&p.name, i)))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
    // Guards against metadata that is read wrongly and gives an empty list.
    let command = packages().iter().find(|p| p.name == "doorbuster").unwrap();
    assert!(command.imports.len() > 10, "{:?}", command.imports);
}

#[test]
fn every_arrow_turned_round_is_a_violation() {
    for package in packages() {
        for imported in &package.imports {
            assert!(
                violation(imported, &package.name).is_some(),
                "{imported} → {}",
                package.name
            );
        }
    }
}

#[test]
fn services_and_the_harness_do_not_know_each_other() {
    for (importer, imported) in [
        ("shop-order", "shop-payment"),
        ("shop-order", "loadgen"),
        ("shop-kit", "syntax"),
        ("loadgen", "chaos"),
        ("chaos", "shop-kit"),
        ("shop-contract", "shop-resilience"),
    ] {
        assert!(
            violation(importer, imported).is_some(),
            "{importer} → {imported}"
        );
    }
}
