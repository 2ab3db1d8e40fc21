//! Reads expectations from a scenario.

use syntax::{Map, Node, did_you_mean, units};

use super::expectation::{Expectation, Limit, Quantile};

/// The keys that tell the forms of an entry apart.
const SUBJECTS: [&str; 5] = ["step", "recovery", "goodput", "attempts", "audit"];

impl Expectation {
    /// Reads one entry of `expect`. `steps` are the steps of shoppers, `phases` the names of the *measured* phases.
    /// Mistakes are added to the document. Returns `None` if they leave no expectation.
    pub fn read(node: Node<'_>, steps: &[&str], phases: &[String]) -> Option<Self> {
        let mut map = node.map()?;
        let found: Vec<&str> = SUBJECTS
            .into_iter()
            .filter(|subject| map.entries().any(|(key, ..)| key == *subject))
            .collect();
        match found[..] {
            ["step"] => step(map, steps, phases),
            ["recovery"] => {
                let within = map.required("recovery", units::duration);
                map.finish();
                within.map(|within| Self::Recovery { within })
            }
            ["goodput"] => {
                let back = map.required("goodput", |node| node.one_of(&["back"]));
                map.finish();
                back.map(|_| Self::GoodputBack)
            }
            ["attempts"] => {
                let at_most = map.required("attempts", attempts);
                map.finish();
                at_most.map(|at_most| Self::Attempts { at_most })
            }
            ["audit"] => {
                let clean = map.required("audit", |node| node.one_of(&["clean"]));
                map.finish();
                clean.map(|_| Self::AuditClean)
            }
            [] => {
                node.mistake(
                    "an expectation is about a `step`, the `recovery` from faults, the `goodput` after them, the \
                     `attempts` per call, or the `audit`; \
                     write for example { step: buy_confirm, p99: 800ms }",
                );
                None
            }
            _ => {
                node.mistake(format!(
                    "an expectation is about one thing, this one has `{}`; write one entry for each",
                    found.join("` and `")
                ));
                None
            }
        }
    }
}

fn step(mut map: Map<'_>, steps: &[&str], phases: &[String]) -> Option<Expectation> {
    let phases: Vec<&str> = phases.iter().map(String::as_str).collect();
    let node = map.node();
    let step = map.required("step", |node| one_of(node, "step", steps));
    let in_node = map.get("in");
    let in_phase = in_node.and_then(|node| one_of(node, "measured phase", &phases));
    let mut limits = Vec::new();
    let mut has_limit = false;
    for quantile in Quantile::ALL {
        if let Some(node) = map.get(quantile.name()) {
            has_limit = true;
            let at_most = units::duration(node);
            limits.extend(at_most.map(|at_most| Limit::Response { quantile, at_most }));
        }
    }
    if let Some(node) = map.get("errors") {
        has_limit = true;
        limits.extend(units::share(node).map(|at_most| Limit::Errors { at_most }));
    }
    map.finish();
    if !has_limit {
        node.mistake(
            "this expectation limits nothing; add one of p50, p90, p95, p99, p999 (such as p99: 800ms) \
             or errors (such as errors: 1%)",
        );
    }
    // A phase with a mistake must not be read as "each phase".
    if limits.is_empty() || (in_node.is_some() && in_phase.is_none()) {
        return None;
    }
    Some(Expectation::Step {
        step: step?,
        in_phase,
        limits,
    })
}

/// Attempts per call, at least 1.
fn attempts(node: Node<'_>) -> Option<f64> {
    let text = node.text()?;
    let parsed = text.parse::<f64>().ok();
    let at_most = parsed.filter(|n| n.is_finite() && *n >= 1.0);
    if at_most.is_none() {
        node.mistake(format!(
            "expected attempts per call such as 1.3, where 1 means that nothing is tried again, found `{text}`"
        ));
    }
    at_most
}

fn one_of(node: Node<'_>, what: &str, names: &[&str]) -> Option<String> {
    let text = node.text()?;
    if names.contains(&text.as_str()) {
        return Some(text);
    }
    node.mistake(match names {
        [] => format!("there is no {what} `{text}`, nor any other"),
        _ => format!(
            "there is no {what} `{text}`; {}",
            did_you_mean(&text, names)
        ),
    });
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use syntax::Document;

    const STEPS: [&str; 3] = ["home", "search", "buy_confirm"];

    fn read(text: &str) -> Result<Vec<Expectation>, Vec<(usize, usize, String)>> {
        let phases = ["steady".to_owned(), "rush".to_owned()];
        let document = Document::parse("demo.yaml", text).unwrap();
        let read = document
            .root()
            .list()
            .unwrap()
            .into_iter()
            .filter_map(|node| Expectation::read(node, &STEPS, &phases))
            .collect();
        match document.finish() {
            Ok(()) => Ok(read),
            Err(mistakes) => Err(mistakes
                .list
                .into_iter()
                .map(|m| (m.line, m.column, m.message))
                .collect()),
        }
    }

    #[test]
    fn the_five_forms_are_read() {
        let text = "- { step: buy_confirm, p99: 800ms, errors: 1%, in: steady }\n\
                    - { step: home, p50: 20ms }\n\
                    - { recovery: 10s }\n\
                    - { goodput: back }\n\
                    - { attempts: 1.3 }\n\
                    - { audit: clean }\n";
        let limit = |quantile, ms| Limit::Response {
            quantile,
            at_most: Duration::from_millis(ms),
        };
        let expected = vec![
            Expectation::Step {
                step: "buy_confirm".to_owned(),
                in_phase: Some("steady".to_owned()),
                limits: vec![limit(Quantile::P99, 800), Limit::Errors { at_most: 0.01 }],
            },
            Expectation::Step {
                step: "home".to_owned(),
                in_phase: None,
                limits: vec![limit(Quantile::P50, 20)],
            },
            Expectation::Recovery {
                within: Duration::from_secs(10),
            },
            Expectation::GoodputBack,
            Expectation::Attempts { at_most: 1.3 },
            Expectation::AuditClean,
        ];
        assert_eq!(read(text), Ok(expected));
    }

    #[test]
    fn every_mistake_is_reported_with_its_position_and_what_was_meant() {
        let text = "- { step: buy_confrim, p99: 800ms }\n\
                    - { step: home, p99: 1s, in: stedy }\n\
                    - { step: home }\n\
                    - { step: home, p98: 1s }\n\
                    - { step: home, p99: 800 }\n\
                    - { audit: dirty }\n\
                    - { recovery: 10s, audit: clean }\n\
                    - { latency: 3ms }\n\
                    - { goodput: high }\n\
                    - { attempts: 0.5 }\n";
        let mistakes = read(text).unwrap_err();
        let expected = [
            (
                1,
                11,
                "there is no step `buy_confrim`; did you mean `buy_confirm`?",
            ),
            (
                2,
                30,
                "there is no measured phase `stedy`; did you mean `steady`?",
            ),
            (3, 3, "limits nothing"),
            (4, 3, "limits nothing"),
            (4, 17, "unknown key `p98`; did you mean `p9"),
            (5, 22, "expected a length of time"),
            (6, 12, "unknown `dirty`"),
            (7, 3, "one entry for each"),
            (8, 3, "an expectation is about a `step`"),
            (9, 14, "unknown `high`"),
            (10, 15, "expected attempts per call"),
        ];
        assert_eq!(mistakes.len(), expected.len(), "{mistakes:#?}");
        for ((line, column, message), (l, c, words)) in mistakes.iter().zip(expected) {
            assert_eq!((*line, *column), (l, c), "{message}");
            assert!(message.contains(words), "{message}");
        }
    }
}
