//! A scenario's text with something else in it. All the rest stays as it was written, comments included.
//!
//! It is done by sections: a top-level key and what belongs to it. A text whose keys do not stand on lines of their own,
//! such as one that is all in braces, has none.

use chaos::Fault;
use syntax::Document;

/// Where a section goes that the text does not have yet.
#[derive(Clone, Copy, PartialEq)]
enum Absent {
    First,
    Last,
}

/// The text with these faults in place of its own and of its storm. `None` where it has no sections.
pub(super) fn with_faults(text: &str, faults: &[Fault]) -> Option<String> {
    let list = chaos::spec::write_faults(faults);
    with_section(text, &["faults", "storm"], &list, Absent::Last)
}

/// The text with this value of a key, so that the record's copy repeats the run; as it is where it has no sections.
pub(super) fn with_key(text: &str, key: &str, value: &str) -> String {
    let section = format!("{key}: {value}\n");
    with_section(text, &[key], &section, Absent::First).unwrap_or_else(|| text.to_owned())
}

/// The text with one section in place of those of these keys.
fn with_section(text: &str, of: &[&str], section: &str, absent: Absent) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let keys = keys(text)?;
    let mut made = String::new();
    let mut new = Some(section);
    if absent == Absent::First && !keys.iter().any(|(key, _)| of.contains(&key.as_str())) {
        made += new.take().unwrap_or_default();
    }
    let put = |lines: &[&str], made: &mut String| {
        for line in lines {
            *made += line;
            made.push('\n');
        }
    };
    let first = keys.first().map_or(lines.len(), |(_, line)| *line);
    put(lines.get(..first)?, &mut made);
    for (i, (key, from)) in keys.iter().enumerate() {
        let to = keys.get(i + 1).map_or(lines.len(), |(_, line)| *line);
        let old = lines.get(*from..to)?;
        if !of.contains(&key.as_str()) {
            put(old, &mut made);
            continue;
        }
        made += new.take().unwrap_or_default();
        // Comments before the next key are about that one.
        let own = old.iter().rposition(|line| !is_between(line));
        put(old.get(own? + 1..)?, &mut made);
    }
    made += new.take().unwrap_or_default();
    Some(made)
}

/// The keys of the document and the lines they stand on, from 0.
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

fn is_between(line: &str) -> bool {
    line.is_empty() || line.starts_with('#')
}
