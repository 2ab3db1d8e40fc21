//! The payments' SQL. Each method is one whole transaction.

use shop_contract::Money;
use shop_contract::audit::AuditLine;
use shop_contract::payment::{NewPayment, Payment, PaymentStatus};
use shop_kit::audit::AuditSource;
use shop_kit::store::{Store, StoreError, parse_stored};
use sqlx::Row;
use sqlx::any::AnyRow;

/// A payment with the fields that only this service needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentRecord {
    /// As its owner sees it.
    pub payment: Payment,
    /// The payer.
    pub user_id: String,
    /// The bank's token for the card.
    pub card: String,
    /// The bank's id of the charge, once known.
    pub charge_id: Option<String>,
}

/// The payments of the shop.
#[derive(Clone)]
pub struct Payments {
    store: Store,
}

const COLUMNS: &str = "id, order_id, user_id, amount_minor, currency, card, status, charge_id";

impl Payments {
    /// On an open database.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Stores a payment as pending, or returns the payment that the key has already.
    ///
    /// # Errors
    /// A database error.
    pub async fn begin(&self, key: &str, new: &NewPayment) -> Result<PaymentRecord, StoreError> {
        let work = async {
            let now = self.store.unix_ms();
            let mut t = self.store.begin().await?;
            sqlx::query(
                "INSERT INTO payments (id, key, order_id, user_id, amount_minor, currency, card,
                     status, created_at_ms, updated_at_ms)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) ON CONFLICT DO NOTHING",
            )
            .bind(uuid::Uuid::now_v7().to_string())
            .bind(key)
            .bind(&new.order_id)
            .bind(&new.user_id)
            .bind(new.amount.minor)
            .bind(&new.amount.currency)
            .bind(&new.card)
            .bind(PaymentStatus::Pending.name())
            .bind(now)
            .execute(&mut *t)
            .await?;
            let sql = format!("SELECT {COLUMNS} FROM payments WHERE key = $1");
            let row = sqlx::query(sqlx::AssertSqlSafe(sql))
                .bind(key)
                .fetch_one(&mut *t)
                .await?;
            t.commit().await?;
            record(&row)
        };
        self.store.operation("insert", "payments", work).await
    }

    /// Stores the bank's answer and returns the payment. A payment that is settled already stays as it is.
    ///
    /// # Errors
    /// A database error.
    pub async fn settle(
        &self,
        id: &str,
        from: PaymentStatus,
        to: PaymentStatus,
        charge_id: Option<&str>,
    ) -> Result<Option<PaymentRecord>, StoreError> {
        let work = async {
            sqlx::query(
                "UPDATE payments SET status = $1, charge_id = COALESCE($2, charge_id),
                     updated_at_ms = $3 WHERE id = $4 AND status = $5",
            )
            .bind(to.name())
            .bind(charge_id)
            .bind(self.store.unix_ms())
            .bind(id)
            .bind(from.name())
            .execute(self.store.writer())
            .await?;
            self.read(id).await
        };
        self.store.operation("update", "payments", work).await
    }

    /// One payment.
    ///
    /// # Errors
    /// A database error.
    pub async fn find(&self, id: &str) -> Result<Option<PaymentRecord>, StoreError> {
        self.store
            .operation("select", "payments", self.read(id))
            .await
    }

    async fn read(&self, id: &str) -> Result<Option<PaymentRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM payments WHERE id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id)
            .fetch_optional(self.store.reader())
            .await?;
        row.as_ref().map(record).transpose()
    }
}

impl AuditSource for Payments {
    async fn rows(&self, after: &str, most: i64) -> Result<Vec<AuditLine>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM payments WHERE id > $1 ORDER BY id LIMIT $2");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(after)
            .bind(most)
            .fetch_all(self.store.reader())
            .await?;
        rows.iter()
            .map(|row| {
                let Payment {
                    id,
                    order_id,
                    status,
                    amount,
                } = record(row)?.payment;
                Ok(AuditLine::Payment {
                    id,
                    order_id,
                    status,
                    amount_minor: amount.minor,
                })
            })
            .collect()
    }
}

fn record(row: &AnyRow) -> Result<PaymentRecord, StoreError> {
    let status: String = row.try_get("status")?;
    Ok(PaymentRecord {
        payment: Payment {
            id: row.try_get("id")?,
            order_id: row.try_get("order_id")?,
            status: parse_stored(&status)?,
            amount: Money {
                minor: row.try_get("amount_minor")?,
                currency: row.try_get("currency")?,
            },
        },
        user_id: row.try_get("user_id")?,
        card: row.try_get("card")?,
        charge_id: row.try_get("charge_id")?,
    })
}
