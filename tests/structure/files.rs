//! Imports between the files of a crate, and a test that they form no circle.
//!
//! A path counts as an import anywhere: in `use`, in a type, in an expression. It leads to the file of its longest prefix that is a
//! module: `crate::store::Pool` to `store.rs`. Declaring a module is not an import. Test modules count as part of their file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

use crate::graph::{Graph, circles};
use crate::workspace;

/// The files of a crate by module path; the crate root is the empty path.
pub(crate) struct Crate {
    modules: BTreeMap<Vec<String>, PathBuf>,
}

impl Crate {
    /// Reads the folder `src` of a crate.
    pub(crate) fn read(src: &Path) -> Self {
        let mut modules = BTreeMap::new();
        let mut folders = vec![src.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|e| e == "rs") {
                    let inside = path.strip_prefix(src).unwrap().with_extension("");
                    let mut module: Vec<String> = inside
                        .iter()
                        .map(|s| s.to_str().unwrap().to_owned())
                        .collect();
                    if module == ["main"] || module == ["lib"] {
                        module.clear();
                    }
                    modules.insert(module, path);
                }
            }
        }
        Self { modules }
    }

    /// The paths of the crate's files.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.modules.values().map(PathBuf::as_path)
    }

    /// For each module, the modules that it imports: `store::pool`, or `crate` for the root.
    pub(crate) fn imports(&self) -> Graph {
        self.modules
            .iter()
            .map(|(module, path)| {
                let text = std::fs::read_to_string(path).unwrap();
                (name(module), self.imports_of(module, &text))
            })
            .collect()
    }

    fn imports_of(&self, module: &[String], text: &str) -> BTreeSet<String> {
        let file = syn::parse_file(text).unwrap_or_else(|e| panic!("{module:?}: {e}"));
        let mut paths = Paths {
            module: module.to_vec(),
            inner: Vec::new(),
            found: BTreeSet::new(),
        };
        paths.visit_file(&file);
        let to = paths.found.iter().filter_map(|path| self.file_of(path));
        to.filter(|to| to != module).map(|to| name(&to)).collect()
    }

    /// The module of the longest prefix of a path that has a file.
    fn file_of(&self, path: &[String]) -> Option<Vec<String>> {
        (0..=path.len())
            .rev()
            .map(|n| path[..n].to_vec())
            .find(|m| self.modules.contains_key(m))
    }
}

fn name(module: &[String]) -> String {
    if module.is_empty() {
        "crate".to_owned()
    } else {
        module.join("::")
    }
}

/// Collects the paths in a file that lead into its own crate, as absolute paths.
struct Paths {
    module: Vec<String>,
    /// Inline modules around the current item.
    inner: Vec<String>,
    found: BTreeSet<Vec<String>>,
}

impl Paths {
    fn add(&mut self, path: &[String]) {
        let mut here: Vec<String> = self.module.iter().chain(&self.inner).cloned().collect();
        let mut rest = path;
        match path.first().map(String::as_str) {
            Some("crate") => {
                here.clear();
                rest = &path[1..];
            }
            Some("self") => rest = &path[1..],
            Some("super") => {}
            // A module declared here can be named without `self`. Any other name is another crate or a type.
            Some(_) => {}
            None => return,
        }
        while rest.first().is_some_and(|s| s == "super") {
            here.pop();
            rest = &rest[1..];
        }
        here.extend(rest.iter().cloned());
        self.found.insert(here);
    }

    fn add_tree(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |ident: &syn::Ident| {
            let mut path = before.to_vec();
            path.push(ident.to_string());
            path
        };
        match tree {
            syn::UseTree::Path(p) => self.add_tree(&with(&p.ident), &p.tree),
            syn::UseTree::Name(n) if n.ident == "self" => self.add(before),
            syn::UseTree::Name(n) => self.add(&with(&n.ident)),
            syn::UseTree::Rename(r) => self.add(&with(&r.ident)),
            syn::UseTree::Glob(_) => self.add(before),
            syn::UseTree::Group(g) => g.items.iter().for_each(|t| self.add_tree(before, t)),
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if item.content.is_some() {
            self.inner.push(item.ident.to_string());
            visit::visit_item_mod(self, item);
            self.inner.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if item.leading_colon.is_none() {
            self.add_tree(&[], &item.tree);
        }
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {
        // `pub(super)` names a module but imports nothing.
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() && path.segments.len() > 1 {
            let segments: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
            self.add(&segments);
        }
        visit::visit_path(self, path);
    }
}

/// The source folders of all crates.
pub(crate) fn sources() -> Vec<PathBuf> {
    crate::floors::packages()
        .iter()
        .map(|package| package.folder.join("src"))
        .collect()
}

#[test]
fn no_files_of_a_crate_import_each_other_in_a_circle() {
    let found: Vec<String> = sources()
        .iter()
        .flat_map(|src| {
            let shown = src.strip_prefix(workspace()).unwrap().display().to_string();
            let circles = circles(&Crate::read(src).imports());
            circles
                .into_iter()
                .map(move |circle| format!("{shown}: {}", circle.join(", ")))
        })
        .collect();
    assert!(found.is_empty(), "circles of files:\n{}", found.join("\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imports(files: &[(&str, &str)]) -> Graph {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Crate::read(folder.path()).imports()
    }

    #[test]
    fn every_way_of_naming_a_module_leads_to_its_file() {
        let graph = imports(&[
            ("lib.rs", "mod store; mod http; pub use store::pool::Pool;"),
            (
                "store.rs",
                "pub mod pool; use self::pool::Pool; use std::fmt;",
            ),
            (
                "store/pool.rs",
                "pub struct Pool; fn f(_: crate::http::Client) {}",
            ),
            (
                "http.rs",
                "use super::store::{self, pool}; pub struct Client;
                 #[cfg(test)] mod tests { use super::*; use crate::store::pool::Pool; }",
            ),
        ]);
        let to = |from: &str| graph[from].iter().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(to("crate"), ["store::pool"]);
        assert_eq!(to("store"), ["store::pool"]);
        assert_eq!(to("store::pool"), ["http"]);
        assert_eq!(to("http"), ["store", "store::pool"]);
        assert_eq!(circles(&graph), [["http", "store", "store::pool"]]);
    }

    #[test]
    fn a_parent_that_only_declares_its_child_is_in_no_circle() {
        let graph = imports(&[
            ("main.rs", "mod store; struct Kit;"),
            ("store.rs", "mod pool; use crate::Kit; pub struct Url;"),
            ("store/pool.rs", "use super::Url; pub(super) struct Pool;"),
        ]);
        assert_eq!(circles(&graph), Vec::<Vec<String>>::new());
    }
}
