//! Rooms of `src/`: a file imports only from rooms below its own.

use crate::files::Crate;
use crate::graph::Graph;
use crate::workspace;

/// Rooms from the top to the bottom. A room is a file at the top of `src/` with the folder of the same name.
const ROOMS: [&[&str]; 7] = [
    &["crate"],
    &["command"],
    &["run"],
    &["audit"],
    &["shop"],
    &["harness_metrics"],
    &["scenario", "terminal"],
];

/// The level of a module's room; zero is the top. Files without a room are at the bottom.
fn level(module: &str) -> usize {
    let room = module.split("::").next().unwrap_or_default();
    let level = ROOMS.iter().position(|rooms| rooms.contains(&room));
    level.unwrap_or(ROOMS.len())
}

fn upward(imports: &Graph) -> Vec<String> {
    let arrows = imports
        .iter()
        .flat_map(|(from, to)| to.iter().map(move |to| (from, to)));
    arrows
        .filter(|(from, to)| level(to) < level(from))
        .map(|(from, to)| format!("{from} imports {to}"))
        .collect()
}

fn src() -> Graph {
    Crate::read(&workspace().join("src")).imports()
}

#[test]
fn rooms_of_the_command_depend_downwards_only() {
    let found = upward(&src());
    assert!(found.is_empty(), "upwards:\n{}", found.join("\n"));
}

#[test]
fn one_arrow_turned_round_is_found() {
    let imports = src();
    let arrow = imports
        .iter()
        .flat_map(|(from, to)| to.iter().map(move |to| (from, to)));
    let (from, to) = arrow
        .into_iter()
        .find(|(from, to)| level(from) < level(to))
        .expect("some room imports from one below");
    let mut turned = imports.clone();
    turned.get_mut(to).unwrap().insert(from.clone());
    assert_eq!(upward(&turned), [format!("{to} imports {from}")]);
}
