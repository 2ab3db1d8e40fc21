//! Reads the tables of `docs/telemetry.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

/// A documented span. Words in braces are placeholders.
#[derive(Debug)]
pub(super) struct SpanRow {
    pub(super) pattern: String,
    kind: SpanKind,
    pub(super) attributes: BTreeSet<String>,
}

#[derive(Debug)]
pub(super) struct Document {
    /// By name: type, labels.
    pub(super) metrics: BTreeMap<String, (String, BTreeSet<String>)>,
    pub(super) with_the_first_event: BTreeSet<String>,
    pub(super) spans: Vec<SpanRow>,
    pub(super) fields: BTreeSet<String>,
    /// As `span send mail`.
    pub(super) only_when: BTreeSet<String>,
}

impl Document {
    pub(super) fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/telemetry.md");
        let text = std::fs::read_to_string(path).unwrap();
        let mut document = Self {
            metrics: BTreeMap::new(),
            with_the_first_event: BTreeSet::new(),
            spans: Vec::new(),
            fields: BTreeSet::new(),
            only_when: BTreeSet::new(),
        };
        let (mut section, mut subsection) = ("", "");
        for line in text.lines() {
            if let Some(title) = line.strip_prefix("## ") {
                (section, subsection) = (title, "");
            } else if let Some(title) = line.strip_prefix("### ") {
                subsection = title;
            } else if let Some(item) = line.strip_prefix("- ") {
                document.item(section, subsection, item);
            } else if line.starts_with("| `") {
                document.row(section, line);
            }
        }
        assert!(!document.metrics.is_empty() && !document.spans.is_empty());
        document
    }

    fn item(&mut self, section: &str, subsection: &str, item: &str) {
        let name = first_quoted(item);
        match (section, subsection) {
            ("Metrics", "With the first event") => {
                self.with_the_first_event.insert(name);
            }
            ("Only when", _) => {
                let what = item.split('`').next().unwrap_or_default().trim();
                self.only_when.insert(format!("{what} {name}"));
            }
            _ => {}
        }
    }

    fn row(&mut self, section: &str, line: &str) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let name = first_quoted(cells[1]);
        match section {
            "Metrics" => {
                let message = (cells[2].to_owned(), quoted(cells[4]));
                assert!(
                    self.metrics.insert(name.clone(), message).is_none(),
                    "`{name}` twice"
                );
            }
            "Spans" => self.spans.push(SpanRow {
                pattern: name,
                kind: match cells[2] {
                    "server" => SpanKind::Server,
                    "client" => SpanKind::Client,
                    "producer" => SpanKind::Producer,
                    "consumer" => SpanKind::Consumer,
                    "internal" => SpanKind::Internal,
                    other => panic!("no kind of span: {other}"),
                },
                attributes: quoted(cells[3]),
            }),
            "Log lines" if line.contains("--") => {}
            "Log lines" => {
                self.fields.insert(name);
            }
            _ => {}
        }
    }
}

impl SpanRow {
    /// Whether the row describes a span of this kind and name.
    pub(super) fn matches(&self, kind: SpanKind, name: &str) -> bool {
        let (pattern, mut name): (Vec<&str>, Vec<&str>) =
            (self.pattern.split(' ').collect(), name.split(' ').collect());
        // A request without a route has no second word.
        if pattern.last() == Some(&"{/route}") && name.len() == 1 {
            name.push("");
        }
        self.kind == kind
            && pattern.len() == name.len()
            && pattern
                .iter()
                .zip(&name)
                .all(|(pattern, word)| matches_word(pattern, word))
    }

    /// The name of the row in the section `Only when`.
    pub(super) fn label(&self) -> String {
        format!("span {}", self.pattern)
    }
}

fn matches_word(pattern: &str, word: &str) -> bool {
    match pattern {
        "{METHOD}" => word.chars().all(|c| c.is_ascii_uppercase() || c == '_'),
        "{/route}" => word.is_empty() || word.starts_with('/'),
        p if p.starts_with('{') => !word.is_empty() && !word.starts_with('/'),
        p => p == word,
    }
}

/// The first text in backticks.
fn first_quoted(text: &str) -> String {
    text.split('`').nth(1).unwrap_or_default().to_owned()
}

/// Everything in backticks.
fn quoted(text: &str) -> BTreeSet<String> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}
