//! How lists are asked for, pure: order, category, length, and where the last page ended.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use shop_contract::product::{CATEGORIES, Product};

/// Products of a page where the caller does not say.
const DEFAULT_LIMIT: u32 = 20;
/// The most products of a page.
const MAX_LIMIT: u32 = 100;

/// Why a list cannot be as asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// No such department.
    #[error("there is no category `{0}`; there are: {all}", all = CATEGORIES.join(", "))]
    Category(String),
    /// No such order.
    #[error("there is no sort `{0}`; there are: new, best")]
    Sort(String),
    /// None, or too many at once.
    #[error("`limit` must be 1 to {MAX_LIMIT}")]
    Limit,
    /// Not a cursor, or that of a list in another order.
    #[error("`cursor` must be `next` of a page of the same list")]
    Cursor,
}

/// What a list is sorted by, the largest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sort {
    /// By the time it came.
    New,
    /// By the number sold.
    Best,
}

impl Sort {
    /// As callers write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Best => "best",
        }
    }

    /// Where a product stands in this order, before its id decides.
    pub fn key(self, product: &Product) -> i64 {
        match self {
            Self::New => product.added_at_ms,
            Self::Best => product.sold,
        }
    }
}

/// Where a page begins: after the product with this key and id. A place in the order and not a number of products
/// to skip, so that the hundredth page costs what the first does, and products that come or go shift nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Position {
    /// The sort key of the product before.
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

    /// As callers see it. They are to pass it on, not to read it, hence the encoding.
    pub fn cursor(&self, sort: Sort) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}:{}:{}", sort.name(), self.key, self.id))
    }

    fn read(cursor: &str, sort: Sort) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let (name, place) = text.split_once(':')?;
        let (key, id) = place.split_once(':')?;
        // PostgreSQL cannot hold U+0000, so no product before it has that in its id.
        let possible = name == sort.name() && !id.contains('\0');
        possible.then_some(Self {
            key: key.parse().ok()?,
            id: id.to_owned(),
        })
    }
}

/// A page asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Listing {
    /// One department, or all of them.
    pub category: Option<String>,
    /// In which order.
    pub sort: Sort,
    /// How many at most.
    pub limit: u32,
    /// From where.
    pub after: Position,
}

impl Listing {
    /// Reads what a caller wrote; what is left out is: all, the newest first, twenty, from the top.
    ///
    /// # Errors
    /// The first thing that cannot be.
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
    fn a_cursor_leads_back_to_its_place_in_its_own_order_only() {
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
    fn what_is_no_cursor_is_refused() {
        let lacking = URL_SAFE_NO_PAD.encode("new:x:p-00001");
        let nul = URL_SAFE_NO_PAD.encode("new:1:p\0");
        for cursor in ["", "!", "bmV3", &lacking, &nul] {
            let read = Listing::read(None, None, None, Some(cursor));
            assert_eq!(read, Err(Invalid::Cursor), "{cursor:?}");
        }
    }

    #[test]
    fn nothing_said_means_the_newest_twenty_of_all() {
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
    fn what_does_not_exist_is_named() {
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
