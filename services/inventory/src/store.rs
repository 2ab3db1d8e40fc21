//! The inventory's SQL. Each method is one whole transaction.

mod audit;

use shop_contract::Role;
use shop_contract::events::{Event, StockChanged, StockLevel};
use shop_contract::inventory::{NewReservation, Reservation, ReservationStatus, Stock};
use shop_contract::product::seeded_id;
use shop_kit::events;
use shop_kit::store::{Store, StoreError, parse_stored};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::reservation::{Refusal, moves, pieces};
use crate::stock::BandChanges;

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// A rule refuses it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A database error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for InventoryError {
    fn from(e: sqlx::Error) -> Self {
        Self::Store(e.into())
    }
}

/// Rows of one seeding statement, and levels of its event: about 30 KB, where a subscriber reads bodies of up to 64
/// KiB.
const SEED_ROWS: usize = 500;
/// The version of a product that was just stocked.
const FIRST_VERSION: i64 = 1;

/// Stock and reservations.
#[derive(Clone)]
pub struct Inventory {
    store: Store,
}

impl Inventory {
    /// On an open database.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Stocks a new shop: `each` pieces of products 1 to `products`. Does nothing to a product that has stock.
    ///
    /// # Errors
    /// A database error.
    pub async fn seed(&self, products: u64, each: u32) -> Result<(), StoreError> {
        let mut transaction = self.store.begin().await?;
        let row = sqlx::query("SELECT COUNT(*) AS n FROM stock")
            .fetch_one(&mut *transaction)
            .await?;
        if row.try_get::<i64, _>("n")? >= products as i64 {
            return Ok(());
        }
        let numbers: Vec<u64> = (1..=products).collect();
        for chunk in numbers.chunks(SEED_ROWS) {
            // No value comes from outside, so the statement may contain them. Binding each would take longer.
            let row = |n: &u64| {
                format!(
                    "('{}', {each}, {each}, 0, 0, {FIRST_VERSION})",
                    seeded_id(*n)
                )
            };
            let rows: Vec<String> = chunk.iter().map(row).collect();
            let sql = format!(
                "INSERT INTO stock (product_id, initial, available, reserved, committed, version)
                 VALUES {} ON CONFLICT DO NOTHING RETURNING product_id",
                rows.join(", ")
            );
            let stocked = sqlx::query(sqlx::AssertSqlSafe(sql))
                .persistent(false)
                .fetch_all(&mut *transaction)
                .await?;
            // Only the rows of this statement: other products may have another stock than `each`.
            let mut levels = Vec::with_capacity(stocked.len());
            for row in stocked {
                levels.push(StockLevel {
                    product_id: row.try_get("product_id")?,
                    available: i64::from(each),
                    version: FIRST_VERSION,
                });
            }
            publish(&mut transaction, "opening", self.store.unix_ms(), levels).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// How many of a product can be reserved.
    ///
    /// # Errors
    /// A database error.
    pub async fn stock(&self, product_id: &str) -> Result<Option<Stock>, StoreError> {
        let work = async {
            let row = sqlx::query("SELECT available FROM stock WHERE product_id = $1")
                .bind(product_id)
                .fetch_optional(self.store.reader())
                .await?;
            row.map(|r| {
                Ok(Stock {
                    product_id: product_id.to_owned(),
                    available: r.try_get("available")?,
                })
            })
            .transpose()
        };
        self.store.operation("select", "stock", work).await
    }

    /// Sets how many of a product can be reserved. Held and committed pieces stay. `None`: there is no such product.
    ///
    /// # Errors
    /// A database error.
    pub async fn restock(
        &self,
        product_id: &str,
        available: i64,
    ) -> Result<Option<Stock>, StoreError> {
        let work = async {
            let mut t = self.store.begin().await?;
            // The first statement locks the row, so that its old value is still true when the second one changes it.
            let before = sqlx::query(
                "UPDATE stock SET version = version + 1 WHERE product_id = $1
                 RETURNING available, version",
            )
            .bind(product_id)
            .fetch_optional(&mut *t)
            .await?;
            let Some(before) = before else {
                return Ok(None);
            };
            sqlx::query(
                "UPDATE stock SET initial = initial + ($1 - available), available = $1
                 WHERE product_id = $2",
            )
            .bind(available)
            .bind(product_id)
            .execute(&mut *t)
            .await?;
            let mut changes = BandChanges::default();
            changes.moved(
                before.try_get("available")?,
                StockLevel {
                    product_id: product_id.to_owned(),
                    available,
                    version: before.try_get("version")?,
                },
            );
            publish(&mut t, "restock", self.store.unix_ms(), changes.levels()).await?;
            t.commit().await?;
            Ok(Some(Stock {
                product_id: product_id.to_owned(),
                available,
            }))
        };
        self.store.operation("restock", "stock", work).await
    }

    /// Holds stock: all of it or nothing. Returns the status, and whether it was held now rather than before.
    ///
    /// # Errors
    /// Not enough stock, released before, or a database error.
    pub async fn reserve(
        &self,
        new: &NewReservation,
    ) -> Result<(ReservationStatus, bool), InventoryError> {
        let work = async {
            let pieces = pieces(&new.items)?;
            let mut t = self.store.begin().await?;
            // The key first: of two requests with the same id, one waits here and then finds the row.
            if !insert(
                &mut t,
                &new.id,
                ReservationStatus::Held,
                self.store.unix_ms(),
            )
            .await?
            {
                let found = status(&mut t, &new.id).await?;
                moves(found, ReservationStatus::Held)?;
                return Ok((found.unwrap_or(ReservationStatus::Held), false));
            }
            let mut changes = BandChanges::default();
            for (product_id, quantity) in pieces {
                let left = sqlx::query(
                    "UPDATE stock SET available = available - $1, reserved = reserved + $1,
                         version = version + 1
                     WHERE product_id = $2 AND available >= $1 RETURNING available, version",
                )
                .bind(i64::from(quantity))
                .bind(product_id)
                .fetch_optional(&mut *t)
                .await?;
                let Some(left) = left else {
                    return Err(Refusal::OutOfStock(product_id.to_owned()).into());
                };
                let level = level(product_id, &left)?;
                changes.moved(level.available + i64::from(quantity), level);
                sqlx::query(
                    "INSERT INTO reservation_items (reservation_id, product_id, quantity)
                     VALUES ($1, $2, $3)",
                )
                .bind(&new.id)
                .bind(product_id)
                .bind(i64::from(quantity))
                .execute(&mut *t)
                .await?;
            }
            publish(&mut t, &new.id, self.store.unix_ms(), changes.levels()).await?;
            t.commit().await?;
            Ok((ReservationStatus::Held, true))
        };
        self.store.operation("reserve", "reservations", work).await
    }

    /// The goods leave.
    ///
    /// # Errors
    /// No such reservation, released, or a database error.
    pub async fn commit(&self, id: &str) -> Result<Reservation, InventoryError> {
        let work = self.settle(
            id,
            ReservationStatus::Committed,
            "UPDATE stock SET reserved = reserved - $1, committed = committed + $1
             WHERE product_id = $2 RETURNING available, version",
        );
        self.store.operation("commit", "reservations", work).await
    }

    /// The goods go back. An unknown id is released as well: its reservation will be refused.
    ///
    /// # Errors
    /// Committed, or a database error.
    pub async fn release(&self, id: &str) -> Result<Reservation, InventoryError> {
        let work = self.settle(
            id,
            ReservationStatus::Released,
            "UPDATE stock SET reserved = reserved - $1, available = available + $1,
                 version = version + 1
             WHERE product_id = $2 RETURNING available, version",
        );
        self.store.operation("release", "reservations", work).await
    }

    async fn settle(
        &self,
        id: &str,
        wanted: ReservationStatus,
        move_pieces: &'static str,
    ) -> Result<Reservation, InventoryError> {
        let mut t = self.store.begin().await?;
        let mut found = lock(&mut t, id).await?;
        if found.is_none() && wanted == ReservationStatus::Released {
            if insert(&mut t, id, wanted, self.store.unix_ms()).await? {
                t.commit().await?;
                return Ok(Reservation {
                    id: id.to_owned(),
                    status: wanted,
                });
            }
            // Another request inserted the id while this one waited for it: read the status again.
            found = lock(&mut t, id).await?;
        }
        if moves(found, wanted)? {
            sqlx::query("UPDATE reservations SET status = $1, updated_at_ms = $2 WHERE id = $3")
                .bind(wanted.name())
                .bind(self.store.unix_ms())
                .bind(id)
                .execute(&mut *t)
                .await?;
            let items = sqlx::query(
                "SELECT product_id, quantity FROM reservation_items
                 WHERE reservation_id = $1 ORDER BY product_id",
            )
            .bind(id)
            .fetch_all(&mut *t)
            .await?;
            let mut changes = BandChanges::default();
            for item in items {
                let quantity: i64 = item.try_get("quantity")?;
                let product_id: String = item.try_get("product_id")?;
                let now = sqlx::query(move_pieces)
                    .bind(quantity)
                    .bind(&product_id)
                    .fetch_one(&mut *t)
                    .await?;
                if wanted == ReservationStatus::Released {
                    let level = level(&product_id, &now)?;
                    changes.moved(level.available - quantity, level);
                }
            }
            publish(&mut t, id, self.store.unix_ms(), changes.levels()).await?;
            t.commit().await?;
        }
        Ok(Reservation {
            id: id.to_owned(),
            status: wanted,
        })
    }
}

/// Writes an event with the new levels to the outbox, within the transaction that made them; nothing for no levels.
///
/// The relay is not woken: it looks every quarter of a second, which is soon enough.
async fn publish(
    t: &mut AnyConnection,
    subject: &str,
    now_ms: i64,
    levels: Vec<StockLevel>,
) -> Result<(), StoreError> {
    if levels.is_empty() {
        return Ok(());
    }
    let event = Event::StockChanged(StockChanged { levels });
    let envelope = events::envelope(Role::Inventory, subject, now_ms, event);
    events::write(t, &envelope, &[Role::Product]).await
}

fn level(product_id: &str, row: &AnyRow) -> Result<StockLevel, StoreError> {
    Ok(StockLevel {
        product_id: product_id.to_owned(),
        available: row.try_get("available")?,
        version: row.try_get("version")?,
    })
}

/// Inserts a reservation; false if the id exists.
async fn insert(
    t: &mut AnyConnection,
    id: &str,
    status: ReservationStatus,
    now_ms: i64,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO reservations (id, status, updated_at_ms) VALUES ($1, $2, $3)
         ON CONFLICT DO NOTHING",
    )
    .bind(id)
    .bind(status.name())
    .bind(now_ms)
    .execute(t)
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn status(t: &mut AnyConnection, id: &str) -> Result<Option<ReservationStatus>, StoreError> {
    let row = sqlx::query("SELECT status FROM reservations WHERE id = $1")
        .bind(id)
        .fetch_optional(t)
        .await?;
    row.map(|r| parse_stored(&r.try_get::<String, _>("status")?))
        .transpose()
}

/// The status, with its row locked until the transaction ends. An update that changes nothing locks on both databases;
/// only one of them has `FOR UPDATE`.
async fn lock(t: &mut AnyConnection, id: &str) -> Result<Option<ReservationStatus>, StoreError> {
    let row = sqlx::query("UPDATE reservations SET status = status WHERE id = $1 RETURNING status")
        .bind(id)
        .fetch_optional(t)
        .await?;
    row.map(|r| parse_stored(&r.try_get::<String, _>("status")?))
        .transpose()
}
