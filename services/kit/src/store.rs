//! A service's own database: SQLite by default, PostgreSQL by URL, the same SQL on both.
//!
//! The shared SQL subset: `$1` placeholders, `RETURNING`, `ON CONFLICT`, `CAST(SUM(x) AS BIGINT)`; text ids,
//! `BIGINT` for money, epoch milliseconds and flags; JSON as text.
//!
//! SQLite has one writer. Writers of a process queue in a pool of one connection, so they do not fail with "database is
//! locked". Readers have their own connections and, thanks to the write-ahead log, do not wait for the writer. Writers of two
//! processes that share the file (two replicas on one host) use `BEGIN IMMEDIATE`: it takes the lock at once or waits for
//! it, where an upgrade from read to write in mid-transaction could only fail.

mod db_fault;
pub(crate) mod error;
mod failure;
mod faults;
mod leak;
mod lock;
#[doc(hidden)]
pub mod migrations;
mod operation;
mod pool;
mod server;
mod system;
mod url;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use shop_contract::faults::Touches;
use sqlx::AnyConnection;
use sqlx::Transaction;
use sqlx::any::AnyPoolOptions;
use sqlx::migrate::Migrator;
use tracing::Instrument;

use crate::Kit;
use crate::clock::WallClock;
use crate::telemetry::metrics::Metrics;
use db_fault::DbFaults;
pub use error::StoreError;
use operation::Operation;
pub use pool::Pool;
pub use server::{DatabaseServer, ServerError};
use system::System;
pub use url::sqlite_url;
use url::{namespace, without_credentials};

/// Read connections of a SQLite store. Each is a thread, so there are few.
const SQLITE_READERS: u32 = 3;
/// Connections of a PostgreSQL store, for reads and writes.
const POSTGRES_CONNECTIONS: u32 = 8;
/// How many values one multi-row `INSERT` should bind; see [`value_rows`].
pub const VALUES_AT_ONCE: usize = 400;
/// How long a request waits for a connection. Less than the two seconds that a caller usually allows one attempt: a later
/// refusal would reach nobody, and the adaptive limit would not learn from it.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(1500);
/// Attempts at a pool's first connection: the database may still be starting.
const FIRST_ATTEMPTS: u32 = 4;
/// How long a writer waits for a lock: the file's on SQLite, a row's or a table's on PostgreSQL.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// One service's database. Clones share its pools.
#[derive(Clone)]
pub struct Store {
    url: Arc<str>,
    /// The database's name in spans, if the URL has one.
    namespace: Option<Arc<str>>,
    write: Pool,
    read: Pool,
    system: System,
    faults: Arc<DbFaults>,
    metrics: Metrics,
    clock: WallClock,
}

impl Store {
    /// Opens the database that the configuration names, migrates its schema, and registers it for database faults.
    ///
    /// # Errors
    /// The database cannot be opened, or a migration fails.
    pub async fn open(kit: &Kit, migrations: &Migrator) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let (url, metrics) = (kit.config().database_url.as_str(), kit.metrics());
        let shown = without_credentials(url);
        let failed = |source| StoreError::Open {
            url: shown.clone(),
            source,
        };
        let system = System::of(url);
        let faults = Arc::new(DbFaults::new(system));
        let pool = |max: u32, name| -> Result<Pool, StoreError> {
            let options = AnyPoolOptions::new()
                .max_connections(max)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .after_connect(move |connection, _| {
                    Box::pin(async move {
                        match system {
                            System::Sqlite => configure_sqlite(connection).await,
                            System::Postgres => configure_postgres(connection).await,
                        }
                    })
                });
            let pool = options.connect_lazy(url).map_err(failed)?;
            Ok(Pool::new(pool, name, faults.clone(), metrics.clone()))
        };
        let (write, read) = match system {
            System::Sqlite => (pool(1, "write")?, pool(SQLITE_READERS, "read")?),
            System::Postgres => {
                let shared = pool(POSTGRES_CONNECTIONS, "shared")?;
                (shared.clone(), shared)
            }
        };
        let write = write.for_writing();
        first_connection(&write).await.map_err(failed)?;
        let store = Self {
            url: url.into(),
            namespace: namespace(url).map(Arc::from),
            write,
            read,
            system,
            faults,
            metrics: metrics.clone(),
            clock: kit.wall_clock().clone(),
        };
        store.migrate(migrations, shown).await?;
        kit.faults()
            .register(Touches::Database, Arc::new(store.clone()));
        Ok(store)
    }

    async fn migrate(&self, migrations: &Migrator, shown: String) -> Result<(), StoreError> {
        let failed = |source| StoreError::Migrate { url: shown, source };
        if self.system == System::Sqlite {
            // sqlx locks a migration on PostgreSQL, but not on SQLite: two replicas that open a new shop at once would both
            // create its tables.
            let mut transaction = self.begin().await?;
            // `run` does the same, but with it the compiler cannot prove that this future is `Send`.
            let migrated = migrations.run_direct(None, &mut *transaction, false).await;
            migrated.map_err(failed)?;
            transaction.commit().await?;
        } else {
            migrations.run(&self.write.inner).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Begins a writing transaction.
    ///
    /// # Errors
    /// No connection, or no write lock, in time.
    pub async fn begin(&self) -> Result<Transaction<'static, sqlx::Any>, StoreError> {
        Ok(self.write.begin(self.system.begin()).await?)
    }

    /// The pool for statements that only read.
    pub fn reader(&self) -> &Pool {
        &self.read
    }

    /// The pool for single statements that write.
    pub fn writer(&self) -> &Pool {
        &self.write
    }

    /// Runs one operation in its span, `{operation} {collection}`, and records its duration.
    ///
    /// # Errors
    /// The error of the operation.
    pub async fn operation<T, E: std::error::Error + 'static>(
        &self,
        operation: &'static str,
        collection: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let namespace = self.namespace.as_deref();
        let (system, metrics) = (self.system, &self.metrics);
        let operation = Operation::start(system, namespace, metrics, operation, collection);
        let work = work.instrument(operation.span.clone());
        let result = if self.faults.any() {
            operation.hit_by.record(work).await
        } else {
            work.await
        };
        let failure = result.as_ref().err();
        operation.end(failure.map(|e| e as &(dyn std::error::Error + 'static)));
        result
    }

    /// The time of day in milliseconds since 1970, for stored timestamps.
    pub fn unix_ms(&self) -> i64 {
        self.clock.unix_ms()
    }

    /// Whether the database answers.
    pub async fn alive(&self) -> bool {
        sqlx::query("SELECT 1").execute(&self.read).await.is_ok()
    }

    /// Closes the pools after running transactions have finished.
    pub async fn close(&self) {
        self.read.inner.close().await;
        self.write.inner.close().await;
    }

    /// Sets the gauges of the pools. Call it before the metrics are rendered.
    pub(crate) fn update_metrics(&self) {
        self.read.update_metrics();
        self.write.update_metrics();
    }
}

/// Parses a stored name, such as a status, as the enum that it was written from.
///
/// # Errors
/// [`StoreError::Corrupt`] for a name that the enum does not have.
pub fn parse_stored<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, StoreError> {
    let parsed: Result<T, serde::de::value::Error> = T::deserialize(text.into_deserializer());
    parsed.map_err(|e| StoreError::Corrupt(format!("`{text}`: {e}")))
}

/// `($1, $2), ($3, $4)`: the placeholders of a multi-row `INSERT … VALUES`, bound in this order. sqlx's own builder writes `?`
/// here, which PostgreSQL cannot parse.
///
/// SQLite finds each value by walking the list of all values, so statements of about [`VALUES_AT_ONCE`] values are faster
/// than larger ones, long before its limit of 32,766.
pub fn value_rows(rows: usize, columns: usize) -> String {
    let row = |r: usize| {
        let values: Vec<String> = (1..=columns)
            .map(|c| format!("${}", r * columns + c))
            .collect();
        format!("({})", values.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// Opens the first connection, with more time than a request has.
async fn first_connection(pool: &Pool) -> sqlx::Result<()> {
    for _ in 1..FIRST_ATTEMPTS {
        match pool.inner.acquire().await {
            Err(sqlx::Error::PoolTimedOut) => {}
            opened => return opened.map(drop),
        }
    }
    pool.inner.acquire().await.map(drop)
}

async fn configure_sqlite(connection: &mut AnyConnection) -> sqlx::Result<()> {
    // WAL with NORMAL: a killed process loses no committed transaction; a power cut may lose the latest ones, never their
    // order. The cache is small because nine services share one machine.
    for pragma in [
        sqlx::AssertSqlSafe(format!(
            "PRAGMA busy_timeout = {}",
            LOCK_TIMEOUT.as_millis()
        )),
        sqlx::AssertSqlSafe("PRAGMA journal_mode = WAL".to_owned()),
        sqlx::AssertSqlSafe("PRAGMA synchronous = NORMAL".to_owned()),
        sqlx::AssertSqlSafe("PRAGMA cache_size = -1024".to_owned()),
    ] {
        sqlx::raw_sql(pragma).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Sets a lock timeout: by default PostgreSQL waits for a lock without limit.
async fn configure_postgres(connection: &mut AnyConnection) -> sqlx::Result<()> {
    let limit = format!("SET lock_timeout = {}", LOCK_TIMEOUT.as_millis());
    sqlx::raw_sql(sqlx::AssertSqlSafe(limit))
        .execute(connection)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbered_across_rows() {
        assert_eq!(value_rows(2, 3), "($1, $2, $3), ($4, $5, $6)");
    }
}
