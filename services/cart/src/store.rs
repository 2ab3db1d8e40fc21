//! The carts' SQL. Each method is one whole transaction.

use shop_contract::Money;
use shop_contract::cart::{Cart, CartItem};
use shop_contract::events::OrderConfirmed;
use shop_kit::events;
use shop_kit::store::{Store, StoreError};
use sqlx::any::{Any, AnyRow};
use sqlx::{Executor, Row};

use crate::cart::{self, Refusal};

/// Why a cart was not changed.
#[derive(Debug, thiserror::Error)]
pub enum CartError {
    /// A rule refuses it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A database error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The carts.
#[derive(Clone)]
pub struct Carts {
    store: Store,
}

impl Carts {
    /// On an open database.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// A shopper's cart, empty if there is none.
    ///
    /// # Errors
    /// A database error.
    pub async fn of(&self, user_id: &str) -> Result<Cart, CartError> {
        let work = lines(self.store.reader(), user_id);
        Ok(cart::of(self.operation("select", work).await?)?)
    }

    /// Sets a line of a cart, replacing the one of the same product.
    ///
    /// # Errors
    /// [`Refusal::Full`], or a database error.
    pub async fn set(&self, user_id: &str, item: &CartItem) -> Result<Cart, CartError> {
        let work = async {
            let mut t = self.store.begin().await?;
            sqlx::query(
                "INSERT INTO cart_items (user_id, product_id, title, quantity, unit_price_minor,
                                         currency, added_at_ms, set_at_ms)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
                 ON CONFLICT (user_id, product_id) DO UPDATE SET title = excluded.title,
                     quantity = excluded.quantity, unit_price_minor = excluded.unit_price_minor,
                     currency = excluded.currency, set_at_ms = excluded.set_at_ms",
            )
            .bind(user_id)
            .bind(&item.product_id)
            .bind(&item.title)
            .bind(i64::from(item.quantity))
            .bind(item.unit_price.minor)
            .bind(&item.unit_price.currency)
            .bind(self.store.unix_ms())
            .execute(&mut *t)
            .await?;
            let cart = cart::of(lines(&mut *t, user_id).await?);
            // A cart that would have too many lines stays as it was: the transaction is not committed.
            if cart.is_ok() {
                t.commit().await?;
            }
            Ok(cart)
        };
        Ok(self.operation("upsert", work).await??)
    }

    /// Removes a line, if there is one.
    ///
    /// # Errors
    /// A database error.
    pub async fn remove(&self, user_id: &str, product_id: &str) -> Result<Cart, CartError> {
        let work = async {
            let mut t = self.store.begin().await?;
            sqlx::query("DELETE FROM cart_items WHERE user_id = $1 AND product_id = $2")
                .bind(user_id)
                .bind(product_id)
                .execute(&mut *t)
                .await?;
            let lines = lines(&mut *t, user_id).await?;
            t.commit().await?;
            Ok(lines)
        };
        Ok(cart::of(self.operation("delete", work).await?)?)
    }

    /// Removes bought pieces, once per event: false when this event was handled before. A line with no more pieces than
    /// were bought is removed; any other keeps the rest. A line that was set after the order was placed stays: the
    /// event may come late, and the line is a new wish.
    ///
    /// # Errors
    /// A database error.
    pub async fn bought(&self, event_id: &str, order: &OrderConfirmed) -> Result<bool, StoreError> {
        let work = async {
            let mut t = self.store.begin().await?;
            if !events::first_time(&mut t, event_id, self.store.unix_ms()).await? {
                return Ok(false);
            }
            for item in &order.items {
                let gone = "DELETE FROM cart_items
                            WHERE user_id = $1 AND product_id = $2 AND set_at_ms <= $4
                              AND quantity <= $3";
                let fewer = "UPDATE cart_items SET quantity = quantity - $3
                             WHERE user_id = $1 AND product_id = $2 AND set_at_ms <= $4";
                // In this order: the rest of a line may be smaller than the bought quantity, and must not be removed
                // with it.
                for statement in [gone, fewer] {
                    sqlx::query(statement)
                        .bind(&order.user_id)
                        .bind(&item.product_id)
                        .bind(i64::from(item.quantity))
                        .bind(order.placed_at_ms)
                        .execute(&mut *t)
                        .await?;
                }
            }
            t.commit().await?;
            Ok(true)
        };
        self.operation("take", work).await
    }

    async fn operation<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.store.operation(operation, "cart_items", work).await
    }
}

async fn lines<'c>(
    on: impl Executor<'c, Database = Any>,
    user_id: &str,
) -> Result<Vec<CartItem>, StoreError> {
    let rows = sqlx::query(
        "SELECT product_id, title, quantity, unit_price_minor, currency FROM cart_items
         WHERE user_id = $1 ORDER BY added_at_ms, product_id",
    )
    .bind(user_id)
    .fetch_all(on)
    .await?;
    rows.iter().map(line).collect()
}

fn line(row: &AnyRow) -> Result<CartItem, StoreError> {
    let quantity: i64 = row.try_get("quantity")?;
    Ok(CartItem {
        product_id: row.try_get("product_id")?,
        title: row.try_get("title")?,
        quantity: u32::try_from(quantity)
            .map_err(|_| StoreError::Corrupt(format!("a line has {quantity} pieces")))?,
        unit_price: Money {
            minor: row.try_get("unit_price_minor")?,
            currency: row.try_get("currency")?,
        },
    })
}
