//! The accounts' SQL. Each method is one whole transaction.

use shop_contract::user::User;
use shop_kit::store::{Store, StoreError, VALUES_AT_ONCE, value_rows};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use crate::token::Key;

/// The columns of a row of `users`.
const COLUMNS: usize = 6;

/// Accounts and the signing key.
#[derive(Clone)]
pub struct Accounts {
    store: Store,
}

impl Accounts {
    /// On an open database.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Adds an account; false if its address has one.
    ///
    /// # Errors
    /// A database error.
    pub async fn add(&self, user: &User, password_hash: &str) -> Result<bool, StoreError> {
        let work = async {
            let done = sqlx::query(
                "INSERT INTO users (id, email, name, role, password_hash, created_at_ms)
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (email) DO NOTHING",
            )
            .bind(&user.id)
            .bind(&user.email)
            .bind(&user.name)
            .bind(&user.role)
            .bind(password_hash)
            .bind(self.store.unix_ms())
            .execute(self.store.writer())
            .await?;
            Ok(done.rows_affected() == 1)
        };
        self.store.operation("insert", "users", work).await
    }

    /// The account with an id.
    ///
    /// # Errors
    /// A database error.
    pub async fn by_id(&self, id: &str) -> Result<Option<User>, StoreError> {
        let work = async {
            let row = sqlx::query("SELECT id, email, name, role FROM users WHERE id = $1")
                .bind(id)
                .fetch_optional(self.store.reader())
                .await?;
            row.as_ref().map(user).transpose()
        };
        self.store.operation("select", "users", work).await
    }

    /// The account with an address, and the hash of its password.
    ///
    /// # Errors
    /// A database error.
    pub async fn by_email(&self, email: &str) -> Result<Option<(User, String)>, StoreError> {
        let work = async {
            let row = sqlx::query(
                "SELECT id, email, name, role, password_hash FROM users WHERE email = $1",
            )
            .bind(email)
            .fetch_optional(self.store.reader())
            .await?;
            row.map(|r| Ok((user(&r)?, r.try_get("password_hash")?)))
                .transpose()
        };
        self.store.operation("select", "users", work).await
    }

    /// The key in use: the stored one, or `offered`, which is then stored.
    ///
    /// # Errors
    /// A database error.
    pub async fn signing_key(&self, offered: &Key) -> Result<Key, StoreError> {
        let mut t = self.store.begin().await?;
        sqlx::query(
            "INSERT INTO signing_key (slot, kid, pkcs8, created_at_ms) VALUES (1, $1, $2, $3)
             ON CONFLICT DO NOTHING",
        )
        .bind(&offered.kid)
        .bind(&offered.pkcs8)
        .bind(self.store.unix_ms())
        .execute(&mut *t)
        .await?;
        let row = sqlx::query("SELECT kid, pkcs8 FROM signing_key")
            .fetch_one(&mut *t)
            .await?;
        t.commit().await?;
        Ok(Key {
            kid: row.try_get("kid")?,
            pkcs8: row.try_get("pkcs8")?,
        })
    }

    /// Adds those of `users` that are missing, all with the same password hash. Does nothing if the last one exists:
    /// they are added together.
    ///
    /// # Errors
    /// A database error.
    pub async fn seed(&self, users: &[User], password_hash: &str) -> Result<(), StoreError> {
        let Some(last) = users.last() else {
            return Ok(());
        };
        let mut t = self.store.begin().await?;
        let there = sqlx::query("SELECT id FROM users WHERE id = $1")
            .bind(&last.id)
            .fetch_optional(&mut *t)
            .await?;
        if there.is_some() {
            return Ok(());
        }
        let now = self.store.unix_ms();
        for chunk in users.chunks(VALUES_AT_ONCE / COLUMNS) {
            let sql = format!(
                "INSERT INTO users (id, email, name, role, password_hash, created_at_ms)
                 VALUES {} ON CONFLICT DO NOTHING",
                value_rows(chunk.len(), COLUMNS)
            );
            let mut insert = sqlx::query(AssertSqlSafe(sql)).persistent(false);
            for user in chunk {
                insert = insert
                    .bind(&user.id)
                    .bind(&user.email)
                    .bind(&user.name)
                    .bind(&user.role)
                    .bind(password_hash)
                    .bind(now);
            }
            insert.execute(&mut *t).await?;
        }
        t.commit().await?;
        Ok(())
    }
}

fn user(row: &AnyRow) -> Result<User, StoreError> {
    Ok(User {
        id: row.try_get("id")?,
        email: row.try_get("email")?,
        name: row.try_get("name")?,
        role: row.try_get("role")?,
    })
}
