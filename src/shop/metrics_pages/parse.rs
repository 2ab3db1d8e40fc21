//! Parses the text of an OpenMetrics page.

/// One series of an OpenMetrics page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample<'p> {
    /// Its name.
    pub(super) name: &'p str,
    labels: &'p str,
    /// Its value.
    pub(super) value: f64,
}

impl<'p> Sample<'p> {
    /// The value of one of its labels.
    pub(super) fn label(&self, name: &str) -> Option<&'p str> {
        let mut rest = self.labels;
        while let Some((key, after)) = rest.split_once("=\"") {
            let (value, more) = after.split_once('"')?;
            if key.trim_start_matches(',') == name {
                return Some(value);
            }
            rest = more;
        }
        None
    }

    /// Whether one of its labels has this value.
    pub(super) fn has(&self, label: &str, value: &str) -> bool {
        self.label(label) == Some(value)
    }
}

/// The series of a page that have labels, without their exemplars.
pub(super) fn samples(page: &str) -> impl Iterator<Item = Sample<'_>> {
    page.lines().filter_map(|line| {
        let (name, rest) = line.split_once('{')?;
        let (labels, after) = rest.split_once("} ")?;
        let value = after.split(' ').next()?.parse().ok()?;
        Some(Sample {
            name,
            labels,
            value,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_read_with_their_labels_and_without_exemplars() {
        let page = r#"
# TYPE calls histogram
up 1
calls_count{service_name="cart",url="/products/{id}",server="product"} 7 # {trace_id="ab"} 0.1 1.5
state{server="bank"} 2
broken{server="bank" 3
"#;
        let read: Vec<_> = samples(page).collect();
        assert_eq!(read.len(), 2, "{read:?}");
        assert_eq!((read[0].name, read[0].value), ("calls_count", 7.0));
        assert_eq!(read[0].label("server"), Some("product"));
        assert_eq!(read[0].label("url"), Some("/products/{id}"));
        assert!(read[1].has("server", "bank") && !read[1].has("name", "bank"));
    }
}
