//! The charges' SQL. Each method is one whole transaction.

use shop_contract::Money;
use shop_contract::audit::AuditLine;
use shop_contract::bank::{Charge, ChargeStatus, NewCharge};
use shop_kit::audit::AuditSource;
use shop_kit::store::{Store, StoreError, parse_stored};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use uuid::Uuid;

use crate::charge::{Refusal, refunds};

/// Why a charge was not stored or changed.
#[derive(Debug, thiserror::Error)]
pub enum ChargeError {
    /// A rule refuses it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A database error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for ChargeError {
    fn from(e: sqlx::Error) -> Self {
        Self::Store(e.into())
    }
}

/// The charges.
#[derive(Clone)]
pub struct Charges {
    store: Store,
}

impl Charges {
    /// On an open database.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Stores a charge under its key and returns it with true; or returns the charge that the key has, with false.
    ///
    /// # Errors
    /// [`Refusal::KeyReused`], or a database error.
    pub async fn record(
        &self,
        key: &str,
        new: &NewCharge,
        status: ChargeStatus,
    ) -> Result<(Charge, bool), ChargeError> {
        let work = async {
            let mut t = self.store.begin().await?;
            // The key first: of two requests with the same key, one waits here and then finds the row.
            let done = sqlx::query(
                "INSERT INTO charges (id, idempotency_key, reference, card, amount_minor, currency,
                                      status, created_at_ms)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (idempotency_key) DO NOTHING",
            )
            .bind(Uuid::now_v7().to_string())
            .bind(key)
            .bind(&new.reference)
            .bind(&new.card)
            .bind(new.amount.minor)
            .bind(&new.amount.currency)
            .bind(status.name())
            .bind(self.store.unix_ms())
            .execute(&mut *t)
            .await?;
            let row = sqlx::query(
                "SELECT id, reference, card, amount_minor, currency, status
                 FROM charges WHERE idempotency_key = $1",
            )
            .bind(key)
            .fetch_one(&mut *t)
            .await?;
            t.commit().await?;
            let (charge, card): (Charge, String) = (charge(&row)?, row.try_get("card")?);
            Ok((charge, card, done.rows_affected() == 1))
        };
        let (charge, card, first) = self.operation("record", work).await?;
        let asked = (&new.amount, &new.reference, &new.card);
        if asked == (&charge.amount, &charge.reference, &card) {
            Ok((charge, first))
        } else {
            Err(Refusal::KeyReused.into())
        }
    }

    /// A charge.
    ///
    /// # Errors
    /// No such charge, or a database error.
    pub async fn by_id(&self, id: &str) -> Result<Charge, ChargeError> {
        let work = async {
            let row = sqlx::query(
                "SELECT id, reference, amount_minor, currency, status FROM charges WHERE id = $1",
            )
            .bind(id)
            .fetch_optional(self.store.reader())
            .await?;
            row.as_ref().map(charge).transpose()
        };
        let found = self.operation("select", work).await?;
        Ok(found.ok_or(Refusal::Unknown)?)
    }

    /// Refunds a charge, unless it was refunded before.
    ///
    /// # Errors
    /// No such charge, declined, or a database error.
    pub async fn refund(&self, id: &str) -> Result<Charge, ChargeError> {
        let work = async {
            let mut t = self.store.begin().await?;
            let Some(mut charge) = lock(&mut t, id).await? else {
                return Ok(Err(Refusal::Unknown));
            };
            match refunds(charge.status) {
                Ok(true) => {
                    charge.status = ChargeStatus::Refunded;
                    sqlx::query("UPDATE charges SET status = $1 WHERE id = $2")
                        .bind(charge.status.name())
                        .bind(id)
                        .execute(&mut *t)
                        .await?;
                    t.commit().await?;
                }
                Ok(false) => {}
                Err(refusal) => return Ok(Err(refusal)),
            }
            Ok(Ok(charge))
        };
        Ok(self.operation("refund", work).await??)
    }

    /// Measures a database operation. Refusals are not part of it: they are no database errors.
    async fn operation<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.store.operation(operation, "charges", work).await
    }
}

impl AuditSource for Charges {
    async fn rows(&self, after: &str, most: i64) -> Result<Vec<AuditLine>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, reference, amount_minor, currency, status FROM charges
             WHERE id > $1 ORDER BY id LIMIT $2",
        )
        .bind(after)
        .bind(most)
        .fetch_all(self.store.reader())
        .await?;
        rows.iter()
            .map(|row| {
                let charge = charge(row)?;
                Ok(AuditLine::Charge {
                    id: charge.id,
                    reference: charge.reference,
                    status: charge.status,
                    amount_minor: charge.amount.minor,
                })
            })
            .collect()
    }
}

/// The charge, with its row locked until the transaction ends. An update that changes nothing locks on both databases;
/// only one of them has `FOR UPDATE`.
async fn lock(t: &mut AnyConnection, id: &str) -> Result<Option<Charge>, StoreError> {
    let row = sqlx::query(
        "UPDATE charges SET status = status WHERE id = $1
         RETURNING id, reference, amount_minor, currency, status",
    )
    .bind(id)
    .fetch_optional(t)
    .await?;
    row.as_ref().map(charge).transpose()
}

fn charge(row: &AnyRow) -> Result<Charge, StoreError> {
    let status: String = row.try_get("status")?;
    Ok(Charge {
        id: row.try_get("id")?,
        reference: row.try_get("reference")?,
        status: parse_stored(&status)?,
        amount: Money {
            minor: row.try_get("amount_minor")?,
            currency: row.try_get("currency")?,
        },
    })
}
