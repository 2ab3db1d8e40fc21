//! A service's own database: SQLite by default, PostgreSQL by URL, the same SQL on both.
//!
//! The shared SQL subset: `$1` placeholders, `RETURNING`, `ON CONFLICT`, `CAST(SUM(x) AS BIGINT)`; text ids,
//! `BIGINT` for money, epoch milliseconds and flags; JSON as text.
//!
//! SQLite has one writer. Writers queue here, in a pool of one connection, instead of meeting in the file and
//! failing with "database is locked"; readers have connections of their own and, thanks to the write-ahead log,
//! are not held up. Two processes that share the file (two replicas on one host) do meet in it: `BEGIN IMMEDIATE`
//! takes the lock at once and waits its turn, where an upgrade in mid-transaction could only fail.

mod failure;
mod faults;
mod leak;
mod lock;
mod migrations;
mod operation;
mod pool;
mod server;
mod trouble;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use sqlx::AnyConnection;
use sqlx::Transaction;
use sqlx::any::AnyPoolOptions;
use sqlx::migrate::Migrator;
use tracing::Instrument;

use crate::clock::WallClock;
use crate::telemetry::metrics::Metrics;
#[doc(hidden)]
pub use migrations::migrator;
use operation::Operation;
pub use pool::Pool;
pub use server::{DatabaseServer, ServerError};
use trouble::Troubles;

/// Read connections of a service. Each SQLite connection is a thread, so there are few.
const READERS: u32 = 3;
/// How many values one statement that inserts many rows should bind; see [`value_rows`].
pub const VALUES_AT_ONCE: usize = 400;
/// How long a request waits for a connection. Less than the two seconds that a caller usually gives a try, for a refusal
/// that comes later is heard by nobody, and the limit on requests learns nothing from it.
const ACQUIRE: Duration = Duration::from_millis(1500);
/// How often that wait is repeated for a pool's first connection: a database may still be starting.
const FIRST_TRIES: u32 = 4;
/// How long a writer waits for another one's lock: the file's on SQLite, a row's or a table's on PostgreSQL.
const BUSY: Duration = Duration::from_secs(5);

/// What the database said.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A statement failed.
    #[error("the database refused a statement: {0}")]
    Sql(#[from] sqlx::Error),
    /// The database cannot be opened.
    #[error(
        "the database `{url}` cannot be opened: {source}; check that its folder exists and can be written"
    )]
    Open {
        /// Its address, without credentials.
        url: String,
        /// Why not.
        source: sqlx::Error,
    },
    /// The schema cannot be brought up to date.
    #[error("the schema of `{url}` cannot be brought up to date: {source}")]
    Migrate {
        /// Its address, without credentials.
        url: String,
        /// Why not.
        source: sqlx::migrate::MigrateError,
    },
    /// A row that breaks the rules of its own table.
    #[error("a stored row cannot be read: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// Whether there was too much to do at once, and no fault: no connection became free in time, or somebody else had
    /// the lock for all of it.
    pub fn is_overload(&self) -> bool {
        match self {
            Self::Sql(sqlx::Error::PoolTimedOut) => true,
            Self::Sql(e) => is_lock_timeout(e),
            _ => false,
        }
    }
}

/// Whether a statement waited in vain for somebody else's lock: `SQLITE_BUSY`, or PostgreSQL's `lock_not_available`.
fn is_lock_timeout(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|e| e.code());
    code.is_some_and(|c| c == "5" || c == "55P03")
}

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum System {
    Sqlite,
    Postgres,
}

impl System {
    fn of(url: &str) -> Self {
        if url.starts_with("sqlite:") {
            Self::Sqlite
        } else {
            Self::Postgres
        }
    }

    /// As figures and spans call it.
    fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgresql",
        }
    }

    /// How a transaction begins that will write.
    fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }
}

/// The pools of one service's database.
#[derive(Clone)]
pub struct Store {
    url: Arc<str>,
    /// The database's name, as spans show it, where its URL says one.
    namespace: Option<Arc<str>>,
    write: Pool,
    read: Pool,
    system: System,
    troubles: Arc<Troubles>,
    metrics: Metrics,
    clock: WallClock,
}

impl Store {
    /// Opens the database and brings its schema up to date. What is written into it carries the time of `clock`.
    ///
    /// # Errors
    /// It cannot be opened, or a migration fails.
    pub async fn open(
        url: &str,
        migrations: &Migrator,
        metrics: Metrics,
        clock: WallClock,
    ) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let shown = without_credentials(url);
        let failed = |source| StoreError::Open {
            url: shown.clone(),
            source,
        };
        let system = System::of(url);
        let troubles = Arc::new(Troubles::new(system));
        let pool = |most: u32, name| -> Result<Pool, StoreError> {
            let options = AnyPoolOptions::new()
                .max_connections(most)
                .acquire_timeout(ACQUIRE)
                .after_connect(move |connection, _| {
                    Box::pin(async move {
                        match system {
                            System::Sqlite => settle_sqlite(connection).await,
                            System::Postgres => settle_postgres(connection).await,
                        }
                    })
                });
            let pool = options.connect_lazy(url).map_err(failed)?;
            Ok(Pool::new(pool, name, troubles.clone(), metrics.clone()))
        };
        let (write, read) = match system {
            System::Sqlite => (pool(1, "write")?, pool(READERS, "read")?),
            System::Postgres => {
                let shared = pool(8, "shared")?;
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
            troubles,
            metrics,
            clock,
        };
        let failed = |source| StoreError::Migrate { url: shown, source };
        if system == System::Sqlite {
            // sqlx keeps a second migrator out of PostgreSQL, but not out of SQLite: two replicas that open a new
            // shop at once would both create its tables.
            let mut turn = store.begin().await?;
            // `run` does the same; yet with it the compiler no longer sees that this future can change threads.
            let migrated = migrations.run_direct(None, &mut *turn, false).await;
            migrated.map_err(failed)?;
            turn.commit().await?;
        } else {
            migrations.run(&store.write.inner).await.map_err(failed)?;
        }
        Ok(store)
    }

    /// Begins a transaction that will write.
    ///
    /// # Errors
    /// No connection, or no turn in time.
    pub async fn begin(&self) -> Result<Transaction<'static, sqlx::Any>, StoreError> {
        Ok(self.write.begin(self.system.begin()).await?)
    }

    /// For statements that only read.
    pub fn reader(&self) -> &Pool {
        &self.read
    }

    /// For a single statement that writes.
    pub fn writer(&self) -> &Pool {
        &self.write
    }

    /// Runs one operation with its span and its figure: `{operation} {collection}`.
    ///
    /// # Errors
    /// Those of the operation.
    pub async fn operation<T, E: std::error::Error + 'static>(
        &self,
        operation: &'static str,
        collection: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let operation = Operation::begin(self, operation, collection);
        let work = work.instrument(operation.span.clone());
        let result = if self.troubles.any() {
            operation.met.noting(work).await
        } else {
            work.await
        };
        let failure = result.as_ref().err();
        operation.end(failure.map(|e| e as &(dyn std::error::Error + 'static)));
        result
    }

    /// The time of day in milliseconds since 1970, for what is written down.
    pub fn unix_ms(&self) -> i64 {
        self.clock.unix_ms()
    }

    /// Whether the database answers.
    pub async fn alive(&self) -> bool {
        sqlx::query("SELECT 1").execute(&self.read).await.is_ok()
    }

    /// Closes the pools; transactions that are under way finish first.
    pub async fn close(&self) {
        self.read.inner.close().await;
        self.write.inner.close().await;
    }

    /// Sets the figures that are read off the pools: to be called before they are shown.
    pub(crate) fn show_pools(&self) {
        self.read.show();
        self.write.show();
    }
}

/// Reads a stored word, such as a status, as the type it was written from.
///
/// # Errors
/// [`StoreError::Corrupt`] for a word the type does not have.
pub fn word<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, StoreError> {
    let read: Result<T, serde::de::value::Error> = T::deserialize(text.into_deserializer());
    read.map_err(|e| StoreError::Corrupt(format!("`{text}`: {e}")))
}

/// `($1, $2), ($3, $4)`: the rows of an `INSERT … VALUES` of many, to be bound one value after the other. sqlx's own
/// builder writes `?` here, which PostgreSQL cannot read.
///
/// SQLite finds each value by walking the list of all of them, so statements of some [`VALUES_AT_ONCE`] values are
/// faster than larger ones, long before its limit of 32,766.
pub fn value_rows(rows: usize, columns: usize) -> String {
    let row = |r: usize| {
        let values: Vec<String> = (1..=columns)
            .map(|c| format!("${}", r * columns + c))
            .collect();
        format!("({})", values.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// The URL of a SQLite file.
pub fn sqlite_url(file: &Path) -> String {
    format!("sqlite://{}?mode=rwc", file.display())
}

/// Opens the first connection, for which there is more time than for a request's.
async fn first_connection(pool: &Pool) -> sqlx::Result<()> {
    for _ in 1..FIRST_TRIES {
        match pool.inner.acquire().await {
            Err(sqlx::Error::PoolTimedOut) => {}
            opened => return opened.map(drop),
        }
    }
    pool.inner.acquire().await.map(drop)
}

async fn settle_sqlite(connection: &mut AnyConnection) -> sqlx::Result<()> {
    // WAL with NORMAL: a killed process loses nothing that was committed; a power cut may lose the last
    // transactions, never their order. The cache is small because nine services share one machine.
    for pragma in [
        sqlx::AssertSqlSafe(format!("PRAGMA busy_timeout = {}", BUSY.as_millis())),
        sqlx::AssertSqlSafe("PRAGMA journal_mode = WAL".to_owned()),
        sqlx::AssertSqlSafe("PRAGMA synchronous = NORMAL".to_owned()),
        sqlx::AssertSqlSafe("PRAGMA cache_size = -1024".to_owned()),
    ] {
        sqlx::raw_sql(pragma).execute(&mut *connection).await?;
    }
    Ok(())
}

/// On PostgreSQL a statement would wait for a lock for ever.
async fn settle_postgres(connection: &mut AnyConnection) -> sqlx::Result<()> {
    let limit = format!("SET lock_timeout = {}", BUSY.as_millis());
    sqlx::raw_sql(sqlx::AssertSqlSafe(limit))
        .execute(connection)
        .await?;
    Ok(())
}

/// The database's name: the last part of its URL's path, which for SQLite is the file's name. What stands before the path
/// may hold a password, and is no name.
fn namespace(url: &str) -> Option<&str> {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let path = match url.strip_prefix("sqlite:") {
        Some(file) => file,
        None => url.split_once("://")?.1.split_once('/')?.1,
    };
    let name = path.rsplit('/').next();
    name.filter(|name| !name.is_empty())
}

fn without_credentials(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 <= at => {
            format!("{}://…{}", &url[..scheme], &url[at..])
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_rows_are_numbered_through() {
        assert_eq!(value_rows(2, 3), "($1, $2, $3), ($4, $5, $6)");
    }

    #[test]
    fn a_database_is_shown_by_its_name_alone() {
        for (url, name) in [
            ("postgres://shop:secret@db:5432/order", Some("order")),
            (
                "postgres://shop:secret@db/order?application_name=a/b",
                Some("order"),
            ),
            ("postgres://shop:secret@db:5432", None),
            ("postgres://shop:secret@db:5432/", None),
            ("postgres://shop:secret@db?sslmode=require", None),
            ("sqlite:///tmp/shop/order.db?mode=rwc", Some("order.db")),
            ("sqlite://order.db?mode=rwc", Some("order.db")),
        ] {
            assert_eq!(namespace(url), name, "{url}");
        }
    }

    #[test]
    fn passwords_do_not_reach_error_messages() {
        assert_eq!(
            without_credentials("postgres://shop:secret@db/order"),
            "postgres://…@db/order"
        );
        assert_eq!(without_credentials("sqlite:///tmp/x"), "sqlite:///tmp/x");
    }
}
