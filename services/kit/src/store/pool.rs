//! A pool of connections that shows how long its users wait.
//!
//! The figures are those of OpenTelemetry's convention for database clients. Waiting is the one to watch: a service
//! whose pool is too small for its work looks like a slow database in every other figure.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{TryFutureExt, TryStreamExt};
use metrics::{counter, gauge, histogram};
use sqlx::any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyPool, Either, Execute, Executor, SqlSafeStr, SqlStr, Transaction};

use super::trouble::{Troubles, Work};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::names;

/// A pool with its figures. A reference to it executes queries, as one to sqlx's own pool does. Cloning shares it.
#[derive(Clone)]
pub struct Pool {
    pub(super) inner: AnyPool,
    pub(super) name: &'static str,
    /// Whether what it is asked for writes.
    writes: bool,
    troubles: Arc<Troubles>,
    metrics: Metrics,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool").field(&self.name).finish()
    }
}

impl Pool {
    /// A pool by its name in figures.
    pub(super) fn new(
        inner: AnyPool,
        name: &'static str,
        troubles: Arc<Troubles>,
        metrics: Metrics,
    ) -> Self {
        // Known beforehand, so that a rate over the first timeout is not lost.
        metrics.record(|| {
            counter!(names::DB_POOL_TIMEOUTS, names::DB_POOL_NAME => name).increment(0);
        });
        let pool = Self {
            inner,
            name,
            writes: false,
            troubles,
            metrics,
        };
        pool.show();
        pool
    }

    /// The same pool, for statements that write.
    pub(super) fn for_writing(self) -> Self {
        Self {
            writes: true,
            ..self
        }
    }

    /// A connection, to run several statements on.
    ///
    /// # Errors
    /// None became free in time, or none can be opened.
    pub async fn acquire(&self) -> sqlx::Result<PoolConnection<Any>> {
        let asked = Instant::now();
        let acquired = self.turn().await;
        self.waited(asked.elapsed(), acquired.as_ref().err());
        let connection = acquired?;
        self.meet_troubles().await?;
        Ok(connection)
    }

    /// Begins a transaction. Its wait includes the statement, for there a SQLite writer waits for the turn of another
    /// process.
    pub(super) async fn begin(
        &self,
        statement: &'static str,
    ) -> sqlx::Result<Transaction<'static, Any>> {
        let asked = Instant::now();
        let acquired = self.turn().await;
        let mut waited = asked.elapsed();
        let connection = acquired.inspect_err(|e| self.waited(waited, Some(e)))?;
        self.meet_troubles().await?;
        let asked = Instant::now();
        // What the pool's own `begin_with` does, in two steps: troubles lie between them.
        let begun = Transaction::begin(connection, Some(statement.into_sql_str())).await;
        waited += asked.elapsed();
        self.waited(waited, begun.as_ref().err());
        begun
    }

    /// Whether nobody gets a connection now without waiting for somebody else to give one back.
    fn is_used_up(&self) -> bool {
        self.inner.num_idle() == 0 && self.inner.size() >= self.most()
    }

    /// How many connections it has at most.
    pub(super) fn most(&self) -> u32 {
        self.inner.options().get_max_connections()
    }

    async fn turn(&self) -> sqlx::Result<PoolConnection<Any>> {
        if self.troubles.any() {
            let work = Work::Comes {
                pool: self.name,
                writes: self.writes,
                waits: self.is_used_up(),
            };
            self.troubles.meet(work).await?;
        }
        self.inner.acquire().await
    }

    /// After there is a connection and before it is used: what a slow database works on holds its connection.
    async fn meet_troubles(&self) -> sqlx::Result<()> {
        if self.troubles.any() {
            let work = if self.writes {
                Work::Writes
            } else {
                Work::Reads
            };
            self.troubles.meet(work).await?;
        }
        Ok(())
    }

    /// Sets the figures that are read off the pool: to be called before they are shown.
    pub(super) fn show(&self) {
        let open = self.inner.size() as usize;
        let idle = self.inner.num_idle().min(open);
        let most = self.most();
        self.metrics.record(|| {
            for (state, count) in [("idle", idle), ("used", open - idle)] {
                gauge!(
                    names::DB_POOL_COUNT,
                    names::DB_POOL_NAME => self.name,
                    "db_client_connection_state" => state,
                )
                .set(count as f64);
            }
            gauge!(names::DB_POOL_MAX, names::DB_POOL_NAME => self.name).set(f64::from(most));
        });
    }

    fn waited(&self, time: Duration, error: Option<&sqlx::Error>) {
        self.metrics.record(|| match error {
            None => histogram!(names::DB_POOL_WAIT, names::DB_POOL_NAME => self.name)
                .record(time.as_secs_f64()),
            Some(sqlx::Error::PoolTimedOut) => {
                counter!(names::DB_POOL_TIMEOUTS, names::DB_POOL_NAME => self.name).increment(1);
            }
            Some(_) => {}
        });
    }
}

impl<'p> Executor<'p> for &'_ Pool {
    type Database = Any;

    /// All rows are fetched before the first one is given, so that the connection goes back at once: no list of this
    /// shop is longer than a page.
    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, sqlx::Result<Either<AnyQueryResult, AnyRow>>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let pool = self.clone();
        let rows = async move {
            let mut connection = pool.acquire().await?;
            let rows: Vec<_> = connection.fetch_many(query).try_collect().await?;
            Ok(stream::iter(rows.into_iter().map(Ok)))
        };
        Box::pin(rows.try_flatten_stream())
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<AnyRow>>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let pool = self.clone();
        Box::pin(async move { pool.acquire().await?.fetch_optional(query).await })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<AnyStatement>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        Box::pin(async move { pool.acquire().await?.prepare_with(sql, parameters).await })
    }
}
