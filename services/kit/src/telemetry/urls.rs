//! What spans may show of a URL, and of other things that callers write as they like.

use std::borrow::Cow;

/// Parameters whose values are harmless: they say how a list is wanted. Any other may hold what a person typed, or a
/// secret that a stranger's link carries.
const SHOWN: [&str; 6] = ["category", "cursor", "limit", "sort", "stock", "fields"];
/// The longest text of a caller's own that a span shows, in bytes.
const LONGEST: usize = 256;

/// A query with the values taken out that nobody needs to see.
pub(crate) fn shown_query(query: &str) -> String {
    let parts = query.split('&').map(|part| match part.split_once('=') {
        Some((name, _)) if !SHOWN.contains(&name) => Cow::Owned(format!("{name}=REDACTED")),
        // Without a name it is all value.
        None if !part.is_empty() && !SHOWN.contains(&part) => Cow::Borrowed("REDACTED"),
        _ => Cow::Borrowed(part),
    });
    let all: Vec<Cow<'_, str>> = parts.collect();
    cut(&all.join("&")).to_owned()
}

/// The full address of a call; `path` may have a query.
pub(crate) fn full(address: &str, path: &str) -> String {
    match path.split_once('?') {
        Some((path, query)) => format!("http://{address}{path}?{}", shown_query(query)),
        None => format!("http://{address}{path}"),
    }
}

/// The name and the port of `host:port`, as far as they are there.
pub(crate) fn host_and_port(authority: &str) -> (&str, Option<u16>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (authority, None),
        },
        _ => (authority, None),
    }
}

/// As much of a text as is shown.
pub(crate) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_and_what_is_secret_is_not_shown() {
        assert_eq!(
            full("h:1", "/products/search?q=a%20gift&limit=3&token=abc"),
            "http://h:1/products/search?q=REDACTED&limit=3&token=REDACTED"
        );
        assert_eq!(full("h:1", "/products/p-1"), "http://h:1/products/p-1");
        assert_eq!(
            shown_query("tok_1&sort&sort=new&"),
            "REDACTED&sort&sort=new&"
        );
    }

    #[test]
    fn texts_of_any_length_are_cut_between_characters() {
        let long = "é".repeat(1000);
        assert_eq!(cut(&long).len(), LONGEST);
        assert!(shown_query(&format!("sort={long}")).len() <= LONGEST);
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
