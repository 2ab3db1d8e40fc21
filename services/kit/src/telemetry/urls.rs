//! Redacts and shortens URLs and other text from callers, for spans.

use std::borrow::Cow;

/// Parameters whose values are harmless: they select and sort lists. Others may hold what a person typed, or a secret.
const HARMLESS: [&str; 6] = ["category", "cursor", "limit", "sort", "stock", "fields"];
/// The longest text from a caller in a span, in bytes.
const MAX_LEN: usize = 256;

/// The query with all values redacted except the harmless ones.
pub(crate) fn redacted_query(query: &str) -> String {
    let parts = query.split('&').map(|part| match part.split_once('=') {
        Some((name, _)) if !HARMLESS.contains(&name) => Cow::Owned(format!("{name}=REDACTED")),
        // Without a name, the part may be a value.
        None if !part.is_empty() && !HARMLESS.contains(&part) => Cow::Borrowed("REDACTED"),
        _ => Cow::Borrowed(part),
    });
    let all: Vec<Cow<'_, str>> = parts.collect();
    cut(&all.join("&")).to_owned()
}

/// The full URL of a call; `path` may have a query.
pub(crate) fn full(address: &str, path: &str) -> String {
    match path.split_once('?') {
        Some((path, query)) => format!("http://{address}{path}?{}", redacted_query(query)),
        None => format!("http://{address}{path}"),
    }
}

/// The host and the port of `host:port`; the port is optional.
pub(crate) fn host_and_port(authority: &str) -> (&str, Option<u16>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (authority, None),
        },
        _ => (authority, None),
    }
}

/// The text, shortened to the longest length.
pub(crate) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_LEN)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_text_and_secrets_are_redacted() {
        assert_eq!(
            full("h:1", "/products/search?q=a%20gift&limit=3&token=abc"),
            "http://h:1/products/search?q=REDACTED&limit=3&token=REDACTED"
        );
        assert_eq!(full("h:1", "/products/p-1"), "http://h:1/products/p-1");
        assert_eq!(
            redacted_query("tok_1&sort&sort=new&"),
            "REDACTED&sort&sort=new&"
        );
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let long = "é".repeat(1000);
        assert_eq!(cut(&long).len(), MAX_LEN);
        assert!(redacted_query(&format!("sort={long}")).len() <= MAX_LEN);
        assert_eq!(cut("short"), "short");
    }

    #[test]
    fn a_host_may_be_a_name_or_an_address_of_either_kind() {
        assert_eq!(host_and_port("shop:8080"), ("shop", Some(8080)));
        assert_eq!(host_and_port("127.0.0.1:1"), ("127.0.0.1", Some(1)));
        assert_eq!(host_and_port("[::1]:80"), ("[::1]", Some(80)));
        assert_eq!(host_and_port("[::1]"), ("[::1]", None));
        assert_eq!(host_and_port("shop"), ("shop", None));
        assert_eq!(host_and_port("shop:x"), ("shop:x", None));
    }
}
