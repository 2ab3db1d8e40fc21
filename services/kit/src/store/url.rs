//! Database URLs: made, named and redacted.

use std::path::Path;

/// The URL of a SQLite file.
pub fn sqlite_url(file: &Path) -> String {
    format!("sqlite://{}?mode=rwc", file.display())
}

/// The database's name: the last part of the URL's path, for SQLite the file's name. The part before the path may hold a
/// password and is never used.
pub(super) fn namespace(url: &str) -> Option<&str> {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let path = match url.strip_prefix("sqlite:") {
        Some(file) => file,
        None => url.split_once("://")?.1.split_once('/')?.1,
    };
    let name = path.rsplit('/').next();
    name.filter(|name| !name.is_empty())
}

/// The URL with `…` in place of user and password.
pub(super) fn without_credentials(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 <= at => {
            format!("{}://…{}", &url[..scheme], &url[at..])
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_is_the_last_part_of_the_path() {
        for (url, name) in [
            ("postgres://shop:secret@db:5432/order", Some("order")),
            (
                "postgres://shop:secret@db/order?application_name=a/b",
                Some("order"),
            ),
            ("postgres://shop:secret@db:5432", None),
            ("postgres://shop:secret@db:5432/", None),
            ("postgres://shop:secret@db?sslmode=require", None),
            ("sqlite:///tmp/shop/order.db?mode=rwc", Some("order.db")),
            ("sqlite://order.db?mode=rwc", Some("order.db")),
        ] {
            assert_eq!(namespace(url), name, "{url}");
        }
    }

    #[test]
    fn passwords_do_not_reach_error_messages() {
        assert_eq!(
            without_credentials("postgres://shop:secret@db/order"),
            "postgres://…@db/order"
        );
        assert_eq!(without_credentials("sqlite:///tmp/x"), "sqlite:///tmp/x");
    }
}
