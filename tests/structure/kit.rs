//! Tests that the kit names no route of the shop, and that services compile in all their migrations.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use syn::visit::{self, Visit};

use crate::files::Crate;
use crate::workspace;

/// Routes that the kit itself serves in every service.
const OF_THE_KIT: [&str; 2] = ["/events", "/openapi.json"];

/// The string literals of a file, without those of its tests.
#[derive(Default)]
struct Texts(BTreeSet<String>);

fn is_test(attributes: &[syn::Attribute]) -> bool {
    let test = |a: &syn::Attribute| a.parse_args::<syn::Ident>().is_ok_and(|i| i == "test");
    attributes
        .iter()
        .any(|a| a.path().is_ident("cfg") && test(a))
}

impl<'ast> Visit<'ast> for Texts {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
        self.0.insert(text.value());
    }
}

fn texts(source: &str) -> BTreeSet<String> {
    let mut texts = Texts::default();
    texts.visit_file(&syn::parse_file(source).unwrap());
    texts.0
}

/// Every route of the shop, from the OpenAPI documents of its services.
fn routes() -> BTreeSet<String> {
    let folder = std::fs::read_dir(workspace().join("docs/openapi")).unwrap();
    let documents = folder.map(|e| std::fs::read_to_string(e.unwrap().path()).unwrap());
    let mut routes = BTreeSet::new();
    for document in documents {
        let document: Value = serde_json::from_str(&document).unwrap();
        routes.extend(document["paths"].as_object().unwrap().keys().cloned());
    }
    routes.retain(|route| !OF_THE_KIT.contains(&route.as_str()));
    routes
}

#[test]
fn the_kit_names_no_route_of_the_shop() {
    let routes = routes();
    assert!(routes.contains("/orders/{id}"), "{routes:?}");
    let files = Crate::read(&workspace().join("services/kit/src"));
    let found: Vec<String> = files
        .paths()
        // Skips test modules in separate files.
        .filter(|path| path.file_stem().is_none_or(|stem| stem != "tests"))
        .flat_map(|path| {
            let named = texts(&std::fs::read_to_string(path).unwrap());
            let named: Vec<String> = named.intersection(&routes).cloned().collect();
            named
                .into_iter()
                .map(|route| format!("{}: {route}", path.display()))
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_route_in_the_code_is_found_and_one_in_a_test_is_not() {
    let found = texts(
        r#"fn f() { call("/orders"); } #[cfg(test)] mod tests { fn g() { call("/stock"); } }"#,
    );
    assert!(
        found.contains("/orders") && !found.contains("/stock"),
        "{found:?}"
    );
}

#[test]
fn every_migration_is_compiled_into_its_service() {
    let mut seen = 0;
    for service in std::fs::read_dir(workspace().join("services")).unwrap() {
        let service = service.unwrap().path();
        let Ok(migrations) = std::fs::read_dir(service.join("migrations")) else {
            continue;
        };
        let root = std::fs::read_to_string(service.join("src/lib.rs")).unwrap();
        for file in migrations {
            let path = file.unwrap().path();
            let name = Path::new(path.file_name().unwrap()).display().to_string();
            assert!(
                root.contains(&format!("\"../migrations/{name}\"")),
                "{} is not named in {}/src/lib.rs",
                path.display(),
                service.display()
            );
            seen += 1;
        }
    }
    assert!(seen >= 8, "{seen} migrations");
}
