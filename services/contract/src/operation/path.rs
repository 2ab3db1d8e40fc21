//! Paths and queries made from templates and values. Every value is percent-encoded here.

use std::fmt::Write;

/// Puts `value` in place of the first `{placeholder}` of `template`, percent-encoded. A template without a placeholder
/// stays as it is.
pub fn fill(template: &str, value: &str) -> String {
    let Some((before, rest)) = template.split_once('{') else {
        return template.to_owned();
    };
    let Some((_, after)) = rest.split_once('}') else {
        return template.to_owned();
    };
    format!("{before}{}{after}", encode(value))
}

/// Appends `name=value` to the query of `path`, both percent-encoded.
pub fn with_query(path: &str, name: &str, value: &str) -> String {
    let separator = if path.contains('?') { '&' } else { '?' };
    format!("{path}{separator}{}={}", encode(name), encode(value))
}

/// Percent-encodes everything but the unreserved characters of RFC 3986 (2.3).
fn encode(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            // Writing to a string cannot fail.
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_one_after_the_other() {
        assert_eq!(fill("/orders/{id}", "o-1"), "/orders/o-1");
        let one = fill("/a/{x}/b/{y}", "1");
        assert_eq!(fill(&one, "2"), "/a/1/b/2");
        assert_eq!(fill("/orders", "o-1"), "/orders");
        assert_eq!(fill("/orders/{id", "o-1"), "/orders/{id");
        assert_eq!(fill("/orders}{", "o-1"), "/orders}{");
    }

    #[test]
    fn a_value_stays_within_its_segment() {
        for (value, encoded) in [
            ("p-00001_x.y~z", "p-00001_x.y~z"),
            ("a/b", "a%2Fb"),
            ("a?b=c#d", "a%3Fb%3Dc%23d"),
            ("100 %", "100%20%25"),
            ("{id}", "%7Bid%7D"),
            ("ü", "%C3%BC"),
            ("\0\n", "%00%0A"),
            ("", ""),
        ] {
            assert_eq!(
                fill("/things/{id}/x", value),
                format!("/things/{encoded}/x")
            );
        }
    }

    #[test]
    fn a_query_grows_by_encoded_pairs() {
        let one = with_query("/things", "q", "steel kettle");
        assert_eq!(one, "/things?q=steel%20kettle");
        assert_eq!(with_query(&one, "a&b", "="), format!("{one}&a%26b=%3D"));
    }
}
