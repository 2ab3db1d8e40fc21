//! Replaces parts of a scenario's text. The rest stays as it is, including comments.
//!
//! A part is a section: a top-level key with its value. A text whose keys are not on lines of their own, such as one in
//! braces, has no sections.

use chaos::Fault;
use syntax::Document;

/// The position of a new section.
#[derive(Clone, Copy, PartialEq)]
enum Position {
    First,
    Last,
}

/// The text with these faults instead of its faults and its storm. `None` if it has no sections.
pub(super) fn with_faults(text: &str, faults: &[Fault]) -> Option<String> {
    let list = chaos::spec::write_faults(faults);
    with_section(text, &["faults", "storm"], &list, Position::Last)
}

/// The text with this value of a key, so that the record's copy repeats the run. Unchanged if it has no sections.
pub(super) fn with_key(text: &str, key: &str, value: &str) -> String {
    let section = format!("{key}: {value}\n");
    with_section(text, &[key], &section, Position::First).unwrap_or_else(|| text.to_owned())
}

/// The text with one section instead of the sections of these keys.
fn with_section(text: &str, of: &[&str], section: &str, position: Position) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let keys = keys(text)?;
    let mut out = String::new();
    let mut new = Some(section);
    if position == Position::First && !keys.iter().any(|(key, _)| of.contains(&key.as_str())) {
        out += new.take().unwrap_or_default();
    }
    let append = |lines: &[&str], out: &mut String| {
        for line in lines {
            *out += line;
            out.push('\n');
        }
    };
    let first = keys.first().map_or(lines.len(), |(_, line)| *line);
    append(lines.get(..first)?, &mut out);
    for (i, (key, from)) in keys.iter().enumerate() {
        let to = keys.get(i + 1).map_or(lines.len(), |(_, line)| *line);
        let old = lines.get(*from..to)?;
        if !of.contains(&key.as_str()) {
            append(old, &mut out);
            continue;
        }
        out += new.take().unwrap_or_default();
        // Comments before the next key belong to that key.
        let own = old.iter().rposition(|line| !is_blank_or_comment(line));
        append(old.get(own? + 1..)?, &mut out);
    }
    out += new.take().unwrap_or_default();
    Some(out)
}

/// The top-level keys of the text, with their line numbers from 0.
fn keys(text: &str) -> Option<Vec<(String, usize)>> {
    let document = Document::parse("", text).ok()?;
    let map = document.root().map()?;
    let mut keys = Vec::new();
    for (name, key, _) in map.entries() {
        if key.column() != 1 {
            return None;
        }
        keys.push((name.to_owned(), key.line() - 1));
    }
    keys.is_sorted_by(|(_, a), (_, b)| a < b).then_some(keys)
}

fn is_blank_or_comment(line: &str) -> bool {
    line.is_empty() || line.starts_with('#')
}
