//! The catalogue's SQL. Each method is one whole transaction.

mod view;

use std::collections::BTreeMap;

use shop_contract::Money;
use shop_contract::order::OrderItem;
use shop_contract::product::{Product, ProductChange, ProductPage};
use shop_kit::events;
use shop_kit::store::{Store, StoreError, VALUES_AT_ONCE, value_rows};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::availability::viewed;
use crate::catalogue::changed;
use crate::listing::{Listing, Sort};
use crate::words::{beginning_with, words};

/// The columns of an insert.
const COLUMNS: &str = "id, title, description, category, price_minor, sold, added_at_ms";
/// Their number.
const WIDTH: usize = 7;
/// The columns of a read.
const SHOWN: &str =
    "SELECT id, title, description, category, price_minor, sold, added_at_ms, available, as_of_ms
    FROM products LEFT JOIN availability ON product_id = id";
/// How many products are generated before their words are written.
const SEED_BATCH: usize = 2000;
/// The longest search result. Whoever does not find a product among twenty searches for something else.
const MOST_FOUND: i64 = 20;

/// The catalogue.
#[derive(Clone)]
pub struct Catalogue {
    store: Store,
}

impl Catalogue {
    /// On an open database.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Adds those of products 1 to `products` that are missing. Products are never deleted, so their number tells
    /// which.
    ///
    /// # Errors
    /// A database error.
    pub async fn seed(
        &self,
        products: u64,
        make: impl Fn(u64) -> Product,
    ) -> Result<(), StoreError> {
        let mut t = self.store.begin().await?;
        let row = sqlx::query("SELECT COUNT(*) AS n FROM products")
            .fetch_one(&mut *t)
            .await?;
        let there = row.try_get::<i64, _>("n")?.unsigned_abs();
        let missing: Vec<u64> = (there + 1..=products).collect();
        // Another replica may do the same. Both insert in the same order, so they cannot deadlock, and existing rows
        // stay.
        for batch in missing.chunks(SEED_BATCH) {
            let made: Vec<Product> = batch.iter().map(|&n| make(n)).collect();
            for few in made.chunks(VALUES_AT_ONCE / WIDTH) {
                insert_products(&mut t, few).await?;
            }
            insert_words(&mut t, &made).await?;
        }
        t.commit().await?;
        Ok(())
    }

    /// A product.
    ///
    /// # Errors
    /// A database error.
    pub async fn by_id(&self, id: &str) -> Result<Option<Product>, StoreError> {
        let work = async {
            let sql = format!("{SHOWN} WHERE id = $1");
            let row = sqlx::query(AssertSqlSafe(sql))
                .bind(id)
                .fetch_optional(self.store.reader())
                .await?;
            row.as_ref().map(product).transpose()
        };
        self.operation("select", work).await
    }

    /// A page of a list.
    ///
    /// # Errors
    /// A database error.
    pub async fn list(&self, listing: &Listing) -> Result<ProductPage, StoreError> {
        let work = async {
            let key = match listing.sort {
                Sort::New => "added_at_ms",
                Sort::Best => "sold",
            };
            let within = match listing.category {
                Some(_) => "category = $4 AND",
                None => "",
            };
            let sql = format!(
                "{SHOWN} WHERE {within} ({key}, id) < ($1, $2)
                 ORDER BY {key} DESC, id DESC LIMIT $3"
            );
            let mut query = sqlx::query(AssertSqlSafe(sql))
                .bind(listing.after.key)
                .bind(&listing.after.id)
                // One more than the limit shows whether there is another page.
                .bind(i64::from(listing.limit) + 1);
            if let Some(category) = &listing.category {
                query = query.bind(category);
            }
            let rows = query.fetch_all(self.store.reader()).await?;
            let limit = listing.limit as usize;
            let shown = &rows[..limit.min(rows.len())];
            let items: Vec<Product> = shown.iter().map(product).collect::<Result<_, _>>()?;
            let more = rows.len() > limit;
            let last = items.last().filter(|_| more);
            let next = last.map(|last| listing.after(last));
            Ok(ProductPage { items, next })
        };
        self.operation("list", work).await
    }

    /// The best-selling products that have a word beginning with each of `asked`.
    ///
    /// # Errors
    /// A database error.
    pub async fn search(
        &self,
        asked: impl IntoIterator<Item = &String>,
    ) -> Result<Vec<Product>, StoreError> {
        let ranges: Vec<_> = asked.into_iter().map(|word| beginning_with(word)).collect();
        let work = async {
            let found: Vec<String> = (0..ranges.len())
                .map(|n| {
                    format!(
                        "id IN (SELECT product_id FROM product_words WHERE word BETWEEN ${} AND ${})",
                        2 * n + 2,
                        2 * n + 3
                    )
                })
                .collect();
            let sql = format!(
                "{SHOWN} WHERE {}
                 ORDER BY sold DESC, id DESC LIMIT $1",
                found.join(" AND ")
            );
            let mut query = sqlx::query(AssertSqlSafe(sql)).bind(MOST_FOUND);
            for (first, last) in &ranges {
                query = query.bind(*first).bind(last);
            }
            let rows = query.fetch_all(self.store.reader()).await?;
            rows.iter().map(product).collect()
        };
        self.operation("search", work).await
    }

    /// Changes a product and its search words.
    ///
    /// # Errors
    /// A database error.
    pub async fn change(
        &self,
        id: &str,
        change: &ProductChange,
    ) -> Result<Option<Product>, StoreError> {
        let work = async {
            let mut t = self.store.begin().await?;
            let Some(before) = lock(&mut t, id).await? else {
                return Ok(None);
            };
            let after = changed(&before, change);
            sqlx::query("UPDATE products SET title = $1, price_minor = $2 WHERE id = $3")
                .bind(&after.title)
                .bind(after.price.minor)
                .bind(id)
                .execute(&mut *t)
                .await?;
            if after.title != before.title {
                for word in found_by(&before) {
                    sqlx::query("DELETE FROM product_words WHERE word = $1 AND product_id = $2")
                        .bind(word)
                        .bind(id)
                        .execute(&mut *t)
                        .await?;
                }
                insert_words(&mut t, std::slice::from_ref(&after)).await?;
            }
            t.commit().await?;
            Ok(Some(after))
        };
        self.operation("update", work).await
    }

    /// Counts sales, once per event: false when this event was handled before.
    ///
    /// # Errors
    /// A database error.
    pub async fn sold(&self, event_id: &str, items: &[OrderItem]) -> Result<bool, StoreError> {
        // In the order of ids: locking rows in one order prevents deadlocks.
        let mut pieces: BTreeMap<&str, i64> = BTreeMap::new();
        for item in items {
            *pieces.entry(&item.product_id).or_default() += i64::from(item.quantity);
        }
        let work = async {
            let mut t = self.store.begin().await?;
            if !events::first_time(&mut t, event_id, self.store.unix_ms()).await? {
                return Ok(false);
            }
            for (id, quantity) in pieces {
                sqlx::query("UPDATE products SET sold = sold + $1 WHERE id = $2")
                    .bind(quantity)
                    .bind(id)
                    .execute(&mut *t)
                    .await?;
            }
            t.commit().await?;
            Ok(true)
        };
        self.operation("count", work).await
    }

    async fn operation<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.store.operation(operation, "products", work).await
    }
}

async fn insert_products(t: &mut AnyConnection, products: &[Product]) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO products ({COLUMNS}) VALUES {} ON CONFLICT DO NOTHING",
        value_rows(products.len(), WIDTH)
    );
    let mut insert = sqlx::query(AssertSqlSafe(sql)).persistent(false);
    for product in products {
        insert = insert
            .bind(&product.id)
            .bind(&product.title)
            .bind(&product.description)
            .bind(&product.category)
            .bind(product.price.minor)
            .bind(product.sold)
            .bind(product.added_at_ms);
    }
    insert.execute(t).await?;
    Ok(())
}

async fn insert_words(t: &mut AnyConnection, products: &[Product]) -> Result<(), StoreError> {
    let mut rows: Vec<(String, &str)> = products
        .iter()
        .flat_map(|p| found_by(p).map(|word| (word, p.id.as_str())))
        .collect();
    // In the order of the index, so that neighbouring rows are written to the same pages.
    rows.sort_unstable();
    for chunk in rows.chunks(VALUES_AT_ONCE / 2) {
        let sql = format!(
            "INSERT INTO product_words (word, product_id) VALUES {} ON CONFLICT DO NOTHING",
            value_rows(chunk.len(), 2)
        );
        let mut insert = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        for (word, id) in chunk {
            insert = insert.bind(word).bind(*id);
        }
        insert.execute(&mut *t).await?;
    }
    Ok(())
}

/// The search words of a product.
fn found_by(product: &Product) -> impl Iterator<Item = String> {
    words(&format!("{} {}", product.title, product.category)).into_iter()
}

/// The product, with its row locked until the transaction ends. An update that changes nothing locks on both databases;
/// only one of them has `FOR UPDATE`.
async fn lock(t: &mut AnyConnection, id: &str) -> Result<Option<Product>, StoreError> {
    sqlx::query("UPDATE products SET title = title WHERE id = $1")
        .bind(id)
        .execute(&mut *t)
        .await?;
    let row = sqlx::query(AssertSqlSafe(format!("{SHOWN} WHERE id = $1")))
        .bind(id)
        .fetch_optional(t)
        .await?;
    row.as_ref().map(product).transpose()
}

fn product(row: &AnyRow) -> Result<Product, StoreError> {
    let available: Option<i64> = row.try_get("available")?;
    let as_of_ms: Option<i64> = row.try_get("as_of_ms")?;
    Ok(Product {
        id: row.try_get("id")?,
        title: row.try_get("title")?,
        description: row.try_get("description")?,
        category: row.try_get("category")?,
        price: Money::of(row.try_get("price_minor")?),
        sold: row.try_get("sold")?,
        added_at_ms: row.try_get("added_at_ms")?,
        availability: available.zip(as_of_ms).map(|(a, at)| viewed(a, at)),
    })
}
