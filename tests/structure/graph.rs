//! A graph of names, and a search for circles in it.

use std::collections::{BTreeMap, BTreeSet};

/// For each name, the names that it imports.
pub(crate) type Graph = BTreeMap<String, BTreeSet<String>>;

/// Groups of names that all reach each other. A graph without circles has no such group.
pub(crate) fn circles(graph: &Graph) -> Vec<Vec<String>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> = graph
        .keys()
        .map(|name| (name.as_str(), reach(graph, name)))
        .collect();
    let mut circles = BTreeSet::new();
    for (name, reaches) in &reached {
        let back = |other: &&&str| reached.get(*other).is_some_and(|r| r.contains(name));
        let circle: Vec<String> = reaches
            .iter()
            .filter(back)
            .map(|s| (*s).to_owned())
            .collect();
        if circle.len() > 1 {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

/// All names that can be reached from `start` in one or more steps.
fn reach<'a>(graph: &'a Graph, start: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = graph[start].iter().map(String::as_str).collect();
    while let Some(name) = next.pop() {
        if reached.insert(name) {
            next.extend(graph.get(name).into_iter().flatten().map(String::as_str));
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &str)]) -> Graph {
        let mut graph = Graph::new();
        for (from, to) in edges {
            graph.entry((*to).to_owned()).or_default();
            graph
                .entry((*from).to_owned())
                .or_default()
                .insert((*to).to_owned());
        }
        graph
    }

    #[test]
    fn one_arrow_turned_round_makes_a_circle() {
        let diamond = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")];
        assert_eq!(circles(&graph(&diamond)), Vec::<Vec<String>>::new());
        let turned = [("a", "b"), ("c", "a"), ("b", "d"), ("d", "c")];
        assert_eq!(circles(&graph(&turned)), [["a", "b", "c", "d"]]);
    }

    #[test]
    fn separate_circles_are_listed_one_by_one() {
        let two = [("a", "b"), ("b", "a"), ("b", "c"), ("c", "d"), ("d", "c")];
        assert_eq!(circles(&graph(&two)), [["a", "b"], ["c", "d"]]);
    }
}
