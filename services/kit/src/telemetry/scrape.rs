//! Parses a page of metrics: OpenMetrics text, and Prometheus text.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// Label names with their values.
pub type Labels<'p> = Vec<(&'p str, Cow<'p, str>)>;

/// A parsed page. Lines that are not valid are left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page<'p> {
    /// The type of each metric family: `counter`, `gauge`, `histogram`. OpenMetrics names a counter's family without `_total`.
    pub types: BTreeMap<&'p str, &'p str>,
    /// The help text of each metric family.
    pub help: BTreeMap<&'p str, &'p str>,
    /// The samples, in the order of the page.
    pub samples: Vec<Sample<'p>>,
}

/// One line of a page: the value of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'p> {
    /// The sample's name, with suffixes such as `_total` and `_bucket`.
    pub name: &'p str,
    /// Its labels.
    pub labels: Labels<'p>,
    /// Its value.
    pub value: f64,
    /// The labels of its exemplar, if it has one.
    pub exemplar: Option<Labels<'p>>,
}

impl<'p> Page<'p> {
    /// Parses the text of a page.
    pub fn parse(text: &'p str) -> Self {
        let mut page = Self::default();
        for line in text.lines() {
            if let Some((family, kind)) = metadata(line, "# TYPE ") {
                page.types.insert(family, kind);
            } else if let Some((family, help)) = metadata(line, "# HELP ") {
                page.help.insert(family, help);
            } else if !line.starts_with('#') {
                page.samples.extend(Sample::parse(line));
            }
        }
        page
    }
}

/// The samples of a page.
pub fn samples(text: &str) -> impl Iterator<Item = Sample<'_>> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(Sample::parse)
}

fn metadata<'p>(line: &'p str, keyword: &str) -> Option<(&'p str, &'p str)> {
    line.strip_prefix(keyword)?.split_once(' ')
}

impl<'p> Sample<'p> {
    /// Parses a line such as `name{label="value"} 1 # {trace_id="ab"} 0.5`. `None` if it is not valid.
    fn parse(line: &'p str) -> Option<Self> {
        let end = line.find(['{', ' '])?;
        let (name, rest) = line.split_at(end);
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => parse_labels(rest)?,
            None => (Vec::new(), rest),
        };
        let (value, after) = match rest.trim_start().split_once(' ') {
            Some((value, after)) => (value, after),
            None => (rest.trim_start(), ""),
        };
        let exemplar = after.split_once("# {").and_then(|(_, e)| parse_labels(e));
        Some(Self {
            name,
            labels,
            value: value.parse().ok()?,
            exemplar: exemplar.map(|(labels, _)| labels),
        })
    }

    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        value_of(&self.labels, name)
    }

    /// Whether a label has this value.
    pub fn has(&self, label: &str, value: &str) -> bool {
        self.label(label) == Some(value)
    }

    /// The trace id of its exemplar.
    pub fn exemplar_trace_id(&self) -> Option<&str> {
        value_of(self.exemplar.as_ref()?, "trace_id")
    }
}

fn value_of<'l>(labels: &'l Labels<'_>, name: &str) -> Option<&'l str> {
    let found = labels.iter().find(|(key, _)| *key == name)?;
    Some(&found.1)
}

/// Parses `a="b",c="d"}`, and returns the labels and the text after the brace.
fn parse_labels(mut text: &str) -> Option<(Labels<'_>, &str)> {
    let mut labels = Vec::new();
    loop {
        text = text.trim_start_matches([',', ' ']);
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (key, rest) = text.split_once("=\"")?;
        let end = end_of_value(rest)?;
        labels.push((key, unescape(&rest[..end])));
        text = &rest[end + 1..];
    }
}

/// The position of the closing quotation mark.
fn end_of_value(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at),
            _ => {}
        }
    }
    None
}

fn unescape(value: &str) -> Cow<'_, str> {
    if !value.contains('\\') {
        return Cow::Borrowed(value);
    }
    let mut text = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => text.push('\n'),
                Some(other) => text.push(other),
                None => {}
            },
            c => text.push(c),
        }
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"# TYPE calls histogram
# HELP calls Calls by route.
up 1
calls_count{service_name="cart",url="/products/{id}",server="product"} 7 # {trace_id="ab"} 0.1 1.5
calls_bucket{le="+Inf"} 7
state{server="bank"} 2
broken{server="bank" 3
text{value="a \"b\" \\ c"} +Inf
empty{} 0.5 1700000000
# EOF
"#;

    #[test]
    fn samples_are_parsed_with_labels_values_and_exemplars() {
        let page = Page::parse(PAGE);
        let parsed: Vec<(&str, f64)> = page.samples.iter().map(|s| (s.name, s.value)).collect();
        assert_eq!(
            parsed,
            [
                ("up", 1.0),
                ("calls_count", 7.0),
                ("calls_bucket", 7.0),
                ("state", 2.0),
                ("text", f64::INFINITY),
                ("empty", 0.5),
            ]
        );
        let calls = &page.samples[1];
        assert_eq!(calls.label("server"), Some("product"));
        assert_eq!(calls.label("url"), Some("/products/{id}"));
        assert_eq!(calls.label("trace_id"), None);
        assert_eq!(calls.exemplar_trace_id(), Some("ab"));
        assert_eq!(page.samples[2].exemplar_trace_id(), None);
        assert!(page.samples[3].has("server", "bank") && !page.samples[3].has("name", "bank"));
        assert_eq!(page.samples[4].label("value"), Some(r#"a "b" \ c"#));
        assert_eq!(samples(PAGE).collect::<Vec<_>>(), page.samples);
    }

    #[test]
    fn families_have_a_type_and_a_help_text() {
        let page = Page::parse(PAGE);
        assert_eq!(page.types.get("calls"), Some(&"histogram"));
        assert_eq!(page.help.get("calls"), Some(&"Calls by route."));
    }
}
