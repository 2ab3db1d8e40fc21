//! A pool of connections with metrics, among them how long its users wait.
//!
//! The metrics follow OpenTelemetry's convention for database clients. The wait time is the one to watch: a pool that is too
//! small looks like a slow database in every other metric.

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

use super::db_fault::{DbFaults, Work};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::names;

/// A pool with metrics. A reference to it executes queries, like one to sqlx's own pool. Clones share it.
#[derive(Clone)]
pub struct Pool {
    pub(super) inner: AnyPool,
    pub(super) name: &'static str,
    /// Whether its statements write.
    writes: bool,
    faults: Arc<DbFaults>,
    metrics: Metrics,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool").field(&self.name).finish()
    }
}

impl Pool {
    /// A pool; `name` is its label in the metrics.
    pub(super) fn new(
        inner: AnyPool,
        name: &'static str,
        faults: Arc<DbFaults>,
        metrics: Metrics,
    ) -> Self {
        // Declared at zero, so that a rate over the first timeout is not lost.
        metrics.record(|| {
            counter!(names::DB_POOL_TIMEOUTS, names::DB_POOL_NAME => name).increment(0);
        });
        let pool = Self {
            inner,
            name,
            writes: false,
            faults,
            metrics,
        };
        pool.update_metrics();
        pool
    }

    /// The same pool, for statements that write.
    pub(super) fn for_writing(self) -> Self {
        Self {
            writes: true,
            ..self
        }
    }

    /// A connection for several statements.
    ///
    /// # Errors
    /// No connection became free in time, or none could be opened.
    pub async fn acquire(&self) -> sqlx::Result<PoolConnection<Any>> {
        let start = Instant::now();
        let acquired = self.acquire_connection().await;
        self.record_wait(start.elapsed(), acquired.as_ref().err());
        let connection = acquired?;
        self.apply_faults().await?;
        Ok(connection)
    }

    /// Begins a transaction. The recorded wait includes the `BEGIN` statement, in which a SQLite writer waits for a writer of
    /// another process.
    pub(super) async fn begin(
        &self,
        statement: &'static str,
    ) -> sqlx::Result<Transaction<'static, Any>> {
        let start = Instant::now();
        let acquired = self.acquire_connection().await;
        let mut waited = start.elapsed();
        let connection = acquired.inspect_err(|e| self.record_wait(waited, Some(e)))?;
        self.apply_faults().await?;
        let start = Instant::now();
        // The same as sqlx's `begin_with`, in two steps, with the faults between them.
        let begun = Transaction::begin(connection, Some(statement.into_sql_str())).await;
        waited += start.elapsed();
        self.record_wait(waited, begun.as_ref().err());
        begun
    }

    /// Whether all connections are in use and no more can be opened.
    fn is_exhausted(&self) -> bool {
        self.inner.num_idle() == 0 && self.inner.size() >= self.max()
    }

    /// The largest number of connections.
    pub(super) fn max(&self) -> u32 {
        self.inner.options().get_max_connections()
    }

    async fn acquire_connection(&self) -> sqlx::Result<PoolConnection<Any>> {
        if self.faults.any() {
            let work = Work::Acquire {
                pool: self.name,
                writes: self.writes,
                waits: self.is_exhausted(),
            };
            self.faults.apply(work).await?;
        }
        self.inner.acquire().await
    }

    /// Applies faults after a connection was acquired and before it is used, so that slow work holds its connection.
    async fn apply_faults(&self) -> sqlx::Result<()> {
        if self.faults.any() {
            let work = if self.writes { Work::Write } else { Work::Read };
            self.faults.apply(work).await?;
        }
        Ok(())
    }

    /// Sets the gauges of the pool. Call it before the metrics are rendered.
    pub(super) fn update_metrics(&self) {
        let open = self.inner.size() as usize;
        let idle = self.inner.num_idle().min(open);
        let max = self.max();
        self.metrics.record(|| {
            for (state, count) in [("idle", idle), ("used", open - idle)] {
                gauge!(
                    names::DB_POOL_COUNT,
                    names::DB_POOL_NAME => self.name,
                    "db_client_connection_state" => state,
                )
                .set(count as f64);
            }
            gauge!(names::DB_POOL_MAX, names::DB_POOL_NAME => self.name).set(f64::from(max));
        });
    }

    fn record_wait(&self, time: Duration, error: Option<&sqlx::Error>) {
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

    /// Fetches all rows before it yields the first one, so that the connection is released at once. The shop reads at most a
    /// page of rows at a time.
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
