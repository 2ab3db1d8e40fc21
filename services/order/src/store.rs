//! The orders' SQL. Each method is one whole transaction.

use shop_contract::Money;
use shop_contract::Role;
use shop_contract::audit::{AuditLine, Moving};
use shop_contract::events::Envelope;
use shop_contract::order::Order;
use shop_kit::audit::AuditSource;
use shop_kit::events;
use shop_kit::store::{Store, StoreError, parse_stored};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::order::{OrderEvent, OrderState, Placed};

/// Whether an event was added.
#[derive(Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is part of the history now.
    Yes,
    /// Another replica added an event first. This is the order's present state.
    Behind(Box<OrderState>),
}

/// The orders of the shop.
#[derive(Clone)]
pub struct Orders {
    store: Store,
}

const SHOWN: &str = "id, status, reason, payment_id, items, total_minor, currency, placed_at_ms";

impl Orders {
    /// On an open database.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Stores a new order. False if the shopper's key has an order already.
    ///
    /// # Errors
    /// A database error.
    pub async fn place(&self, order: &OrderState, lease_until: i64) -> Result<bool, StoreError> {
        let Placed {
            order_id,
            user_id,
            key,
            card,
            items,
            total,
            at_ms,
            ..
        } = &order.placed;
        let work = async {
            let mut t = self.store.begin().await?;
            // The key first: of two checkouts with the same key, the second waits here and then finds the row.
            let done = sqlx::query(
                "INSERT INTO orders (id, user_id, key, status, items, pieces, total_minor, currency,
                     card, placed_at_ms, version, final, lease_until)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, $12)
                 ON CONFLICT DO NOTHING",
            )
            .bind(order_id)
            .bind(user_id)
            .bind(key)
            .bind(order.status.name())
            .bind(json(items)?)
            .bind(order.pieces())
            .bind(total.minor)
            .bind(&total.currency)
            .bind(card)
            .bind(at_ms)
            .bind(order.version)
            .bind(lease_until)
            .execute(&mut *t)
            .await?;
            if done.rows_affected() == 0 {
                return Ok(false);
            }
            let placed = OrderEvent::Placed(order.placed.clone());
            insert_event(&mut t, order, &placed, self.store.unix_ms()).await?;
            t.commit().await?;
            Ok(true)
        };
        self.store.operation("insert", "orders", work).await
    }

    /// Adds an event to the history. `after` is the order with the event applied. The projection and the event for
    /// other services are written in the same transaction.
    ///
    /// # Errors
    /// A database error.
    pub async fn append(
        &self,
        after: &OrderState,
        event: &OrderEvent,
        lease_until: i64,
        outgoing: Option<(&Envelope, &[Role])>,
    ) -> Result<Appended, StoreError> {
        let work = async {
            let mut t = self.store.begin().await?;
            let done = sqlx::query(
                "UPDATE orders SET status = $1, reason = $2, payment_id = $3, version = $4, final = $5,
                     lease_until = $6
                 WHERE id = $7 AND version = $8",
            )
            .bind(after.status.name())
            .bind(&after.reason)
            .bind(&after.payment_id)
            .bind(after.version)
            .bind(i64::from(after.status.is_final()))
            .bind(lease_until)
            .bind(after.id())
            .bind(after.version - 1)
            .execute(&mut *t)
            .await?;
            if done.rows_affected() == 0 {
                let newer = history(&mut t, after.id()).await?;
                let lost = || StoreError::Corrupt(format!("order {} has no history", after.id()));
                return Ok(Appended::Behind(Box::new(newer.ok_or_else(lost)?)));
            }
            insert_event(&mut t, after, event, self.store.unix_ms()).await?;
            if let Some((envelope, subscribers)) = outgoing {
                events::write(&mut t, envelope, subscribers).await?;
            }
            t.commit().await?;
            Ok(Appended::Yes)
        };
        self.store.operation("update", "orders", work).await
    }

    /// Sets the end of an order's lease. It does nothing if another replica has moved the order on.
    ///
    /// # Errors
    /// A database error.
    pub async fn lease(&self, order: &OrderState, until: i64) -> Result<(), StoreError> {
        let sql = "UPDATE orders SET lease_until = $1 WHERE id = $2 AND version = $3 AND final = 0";
        sqlx::query(sql)
            .bind(until)
            .bind(order.id())
            .bind(order.version)
            .execute(self.store.writer())
            .await?;
        Ok(())
    }

    /// Takes up orders without a lease, the longest waiting first.
    ///
    /// # Errors
    /// A database error.
    pub async fn take_up(
        &self,
        now: i64,
        until: i64,
        most: i64,
    ) -> Result<Vec<String>, StoreError> {
        // Most looks find nothing; they must not block the writers.
        let lying =
            sqlx::query("SELECT id FROM orders WHERE final = 0 AND lease_until < $1 LIMIT 1")
                .bind(now)
                .fetch_optional(self.store.reader())
                .await?;
        if lying.is_none() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(
            "UPDATE orders SET lease_until = $1
             WHERE final = 0 AND lease_until < $2 AND id IN (
                 SELECT id FROM orders WHERE final = 0 AND lease_until < $2
                 ORDER BY lease_until LIMIT $3)
             RETURNING id",
        )
        .bind(until)
        .bind(now)
        .bind(most)
        .fetch_all(self.store.writer())
        .await?;
        rows.iter().map(|r| Ok(r.try_get("id")?)).collect()
    }

    /// An order as the sum of its history.
    ///
    /// # Errors
    /// A database error.
    pub async fn load(&self, id: &str) -> Result<Option<OrderState>, StoreError> {
        let work = async {
            let mut connection = self.store.reader().acquire().await?;
            history(&mut connection, id).await
        };
        self.store.operation("select", "order_events", work).await
    }

    /// The order of a shopper's key.
    ///
    /// # Errors
    /// A database error.
    pub async fn by_key(&self, user_id: &str, key: &str) -> Result<Option<OrderState>, StoreError> {
        let work = async {
            let mut connection = self.store.reader().acquire().await?;
            let row = sqlx::query("SELECT id FROM orders WHERE user_id = $1 AND key = $2")
                .bind(user_id)
                .bind(key)
                .fetch_optional(&mut *connection)
                .await?;
            match row {
                Some(row) => history(&mut connection, &row.try_get::<String, _>("id")?).await,
                None => Ok(None),
            }
        };
        self.store.operation("select", "orders", work).await
    }

    /// An order as its buyer sees it, and the buyer.
    ///
    /// # Errors
    /// A database error.
    pub async fn shown(&self, id: &str) -> Result<Option<(Order, String)>, StoreError> {
        let work = async {
            let sql = format!("SELECT {SHOWN}, user_id FROM orders WHERE id = $1");
            let row = sqlx::query(sqlx::AssertSqlSafe(sql))
                .bind(id)
                .fetch_optional(self.store.reader())
                .await?;
            row.map(|r| Ok((shown(&r)?, r.try_get("user_id")?)))
                .transpose()
        };
        self.store.operation("select", "orders", work).await
    }

    /// A shopper's orders, newest first.
    ///
    /// # Errors
    /// A database error.
    pub async fn of_user(&self, user_id: &str, limit: i64) -> Result<Vec<Order>, StoreError> {
        let work = async {
            let sql = format!(
                "SELECT {SHOWN} FROM orders WHERE user_id = $1
                 ORDER BY placed_at_ms DESC, id DESC LIMIT $2"
            );
            let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
                .bind(user_id)
                .bind(limit)
                .fetch_all(self.store.reader())
                .await?;
            rows.iter().map(shown).collect()
        };
        self.store.operation("select", "orders", work).await
    }
}

impl AuditSource for Orders {
    async fn rows(&self, after: &str, most: i64) -> Result<Vec<AuditLine>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, user_id, key, status, total_minor, pieces FROM orders
             WHERE id > $1 ORDER BY id LIMIT $2",
        )
        .bind(after)
        .bind(most)
        .fetch_all(self.store.reader())
        .await?;
        let mut lines = Vec::with_capacity(rows.len());
        for row in rows {
            let status: String = row.try_get("status")?;
            lines.push(AuditLine::Order {
                id: row.try_get("id")?,
                user_id: row.try_get("user_id")?,
                key: row.try_get("key")?,
                status: parse_stored(&status)?,
                total_minor: row.try_get("total_minor")?,
                pieces: row.try_get("pieces")?,
            });
        }
        Ok(lines)
    }

    async fn sums(&self) -> Result<Vec<AuditLine>, StoreError> {
        let pending = events::pending(&self.store).await?;
        Ok(vec![AuditLine::Outbox { pending }])
    }

    async fn moving(&self) -> Result<Moving, StoreError> {
        let row = sqlx::query("SELECT COUNT(*) AS n FROM orders WHERE final = 0")
            .fetch_one(self.store.reader())
            .await?;
        Ok(Moving {
            orders: row.try_get("n")?,
            events: events::pending(&self.store).await?,
            ..Moving::default()
        })
    }
}

async fn insert_event(
    t: &mut AnyConnection,
    order: &OrderState,
    event: &OrderEvent,
    at_ms: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO order_events (order_id, seq, kind, data, at_ms) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(order.id())
    .bind(order.version)
    .bind(event.kind())
    .bind(json(event)?)
    .bind(at_ms)
    .execute(t)
    .await?;
    Ok(())
}

async fn history(
    connection: &mut AnyConnection,
    id: &str,
) -> Result<Option<OrderState>, StoreError> {
    let rows = sqlx::query("SELECT data FROM order_events WHERE order_id = $1 ORDER BY seq")
        .bind(id)
        .fetch_all(connection)
        .await?;
    let mut events = Vec::with_capacity(rows.len());
    for row in rows {
        let data: String = row.try_get("data")?;
        events.push(serde_json::from_str(&data).map_err(|e| StoreError::Corrupt(e.to_string()))?);
    }
    Ok(OrderState::of(events))
}

fn shown(row: &AnyRow) -> Result<Order, StoreError> {
    let (status, items): (String, String) = (row.try_get("status")?, row.try_get("items")?);
    Ok(Order {
        id: row.try_get("id")?,
        status: parse_stored(&status)?,
        items: serde_json::from_str(&items).map_err(|e| StoreError::Corrupt(e.to_string()))?,
        total: Money {
            minor: row.try_get("total_minor")?,
            currency: row.try_get("currency")?,
        },
        reason: row.try_get("reason")?,
        payment_id: row.try_get("payment_id")?,
        placed_at_ms: row.try_get("placed_at_ms")?,
    })
}

fn json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Corrupt(e.to_string()))
}
