//! The parameters of lists, pure: sort, category, length and cursor.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use shop_contract::product::{CATEGORIES, Product};

/// The default length of a page.
const DEFAULT_LIMIT: u32 = 20;
/// The longest page.
const MAX_LIMIT: u32 = 100;

/// Why a list is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// There is no such category.
    #[error("there is no category `{0}`; there are: {all}", all = CATEGORIES.join(", "))]
    Category(String),
    /// There is no such sort.
    #[error("there is no sort `{0}`; there are: new, best")]
    Sort(String),
    /// Too short or too long.
    #[error("`limit` must be 1 to {MAX_LIMIT}")]
    Limit,
    /// Not a cursor, or one of another sort.
    #[error("`cursor` must be `next` of a page of the same list")]
    Cursor,
}

/// The sort of a list, largest value first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sort {
    /// By the time of addition.
    New,
    /// By the number sold.
    Best,
}

impl Sort {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Best => "best",
        }
    }

    /// A product's sort key. Products with equal keys are sorted by id.
    pub fn key(self, product: &Product) -> i64 {
        match self {
            Self::New => product.added_at_ms,
            Self::Best => product.sold,
        }
    }
}

/// The start of a page: after the product with this key and id. It is a position and not a number of products to skip,
/// so every page costs the same, and added products shift nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Position {
    /// The sort key of the product before the page.
    pub key: i64,
    /// Its id.
    pub id: String,
}

impl Position {
    /// Before all products.
    pub fn top() -> Self {
        Self {
            key: i64::MAX,
            id: String::new(),
        }
    }

    /// The cursor for clients. It is opaque to them, hence the encoding.
    pub fn cursor(&self, sort: Sort) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}:{}:{}", sort.name(), self.key, self.id))
    }

    fn read(cursor: &str, sort: Sort) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let (name, place) = text.split_once(':')?;
        let (key, id) = place.split_once(':')?;
        // PostgreSQL cannot store U+0000, so no id has it.
        let possible = name == sort.name() && !id.contains('\0');
        possible.then_some(Self {
            key: key.parse().ok()?,
            id: id.to_owned(),
        })
    }
}

/// The parameters of a page.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Listing {
    /// One category, or all.
    pub category: Option<String>,
    /// The sort.
    pub sort: Sort,
    /// The length.
    pub limit: u32,
    /// The start.
    pub after: Position,
}

impl Listing {
    /// Reads the parameters of a request. The defaults are: all categories, the newest first, twenty, from the start.
    ///
    /// # Errors
    /// The first mistake.
    pub fn read(
        category: Option<String>,
        sort: Option<&str>,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Self, Invalid> {
        if let Some(category) = category.as_deref().filter(|c| !CATEGORIES.contains(c)) {
            return Err(Invalid::Category(category.to_owned()));
        }
        let sort = match sort {
            None | Some("new") => Sort::New,
            Some("best") => Sort::Best,
            Some(other) => return Err(Invalid::Sort(other.to_owned())),
        };
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Invalid::Limit);
        }
        let after = match cursor {
            None => Position::top(),
            Some(cursor) => Position::read(cursor, sort).ok_or(Invalid::Cursor)?,
        };
        Ok(Self {
            category,
            sort,
            limit,
            after,
        })
    }

    /// The cursor of the page after one that ends with `last`.
    pub fn after(&self, last: &Product) -> String {
        let place = Position {
            key: self.sort.key(last),
            id: last.id.clone(),
        };
        place.cursor(self.sort)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_valid_for_its_own_sort_only() {
        let place = Position {
            key: -3,
            id: "p-00001".to_owned(),
        };
        let cursor = place.cursor(Sort::Best);
        let read = Listing::read(None, Some("best"), None, Some(&cursor));
        assert_eq!(read.unwrap().after, place);
        let other = Listing::read(None, Some("new"), None, Some(&cursor));
        assert_eq!(other, Err(Invalid::Cursor));
    }

    #[test]
    fn invalid_cursors_are_refused() {
        let lacking = URL_SAFE_NO_PAD.encode("new:x:p-00001");
        let nul = URL_SAFE_NO_PAD.encode("new:1:p\0");
        for cursor in ["", "!", "bmV3", &lacking, &nul] {
            let read = Listing::read(None, None, None, Some(cursor));
            assert_eq!(read, Err(Invalid::Cursor), "{cursor:?}");
        }
    }

    #[test]
    fn the_default_is_the_newest_twenty_of_all_categories() {
        let read = Listing::read(None, None, None, None).unwrap();
        let expected = Listing {
            category: None,
            sort: Sort::New,
            limit: 20,
            after: Position::top(),
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn unknown_categories_and_sorts_are_named() {
        let category = Listing::read(Some("boats".to_owned()), None, None, None);
        assert_eq!(category, Err(Invalid::Category("boats".to_owned())));
        let sort = Listing::read(None, Some("cheap"), None, None);
        assert_eq!(sort, Err(Invalid::Sort("cheap".to_owned())));
        for limit in [0, 101] {
            let read = Listing::read(None, None, Some(limit), None);
            assert_eq!(read, Err(Invalid::Limit));
        }
    }
}
