//! The lock of a locked-database fault, held by a connection of its own outside of the pools.
//!
//! It is a real lock: on SQLite the file's write lock, on PostgreSQL an `EXCLUSIVE` lock on every table, which lets reads go
//! on. So it blocks every process that has the database open, and it ends when this process ends, in whatever way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};
use tokio_util::sync::CancellationToken;

use super::error::is_lock_timeout;
use super::system::System;
use super::url::without_credentials;

/// How long one attempt waits for the lock. Less than the second after which PostgreSQL looks for deadlocks, so that in a
/// deadlock this side gives up first.
const ATTEMPT: Duration = Duration::from_millis(250);
/// The pause between two attempts, where the database itself did not wait.
const PAUSE: Duration = Duration::from_millis(100);
/// How long after the end of the fault PostgreSQL ends the session of a stopped holder.
const OVERTIME: Duration = Duration::from_secs(2);

/// Takes the lock and holds it until `ended`. `taken` is set while writes are blocked: by this lock, or by another one that
/// this one waits for, such as another replica's with the same fault. `lasts` is the planned duration.
pub(super) async fn hold(
    system: System,
    url: &str,
    lasts: Duration,
    taken: Arc<AtomicBool>,
    ended: CancellationToken,
) {
    let attempts = async {
        loop {
            match take(system, url, lasts).await {
                Ok(held) => return held,
                Err(e) if is_lock_timeout(&e) => taken.store(true, Ordering::Relaxed),
                Err(e) => {
                    // The database is unavailable for another reason than a lock.
                    taken.store(false, Ordering::Relaxed);
                    let url = without_credentials(url);
                    tracing::warn!(url, error = %e, "the lock could not be taken; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    // A cancelled attempt drops its connection, and with it the lock that it may have taken.
    let held = ended.run_until_cancelled(attempts).await;
    if let Some(mut held) = held {
        taken.store(true, Ordering::Relaxed);
        ended.cancelled().await;
        let released = sqlx::raw_sql("ROLLBACK").execute(&mut held).await;
        if let Err(e) = released {
            tracing::warn!(error = %e, "the rollback failed; closing the connection releases the lock");
        }
        let _ = held.close().await;
    }
    taken.store(false, Ordering::Relaxed);
}

async fn take(system: System, url: &str, lasts: Duration) -> sqlx::Result<AnyConnection> {
    let mut connection = AnyConnection::connect(url).await?;
    let attempt_ms = ATTEMPT.as_millis();
    match system {
        System::Sqlite => {
            let timeout = format!("PRAGMA busy_timeout = {attempt_ms}");
            run(&mut connection, timeout).await?;
            run(&mut connection, system.begin().to_owned()).await?;
        }
        System::Postgres => {
            // If this process is stopped (SIGSTOP), the server ends the session by itself.
            let most_ms = (lasts + OVERTIME).as_millis();
            run(&mut connection, "BEGIN".to_owned()).await?;
            for setting in [
                format!("SET LOCAL lock_timeout = {attempt_ms}"),
                format!("SET LOCAL idle_in_transaction_session_timeout = {most_ms}"),
            ] {
                run(&mut connection, setting).await?;
            }
            let tables = tables(&mut connection).await?;
            if !tables.is_empty() {
                let lock = format!("LOCK TABLE {} IN EXCLUSIVE MODE", tables.join(", "));
                run(&mut connection, lock).await?;
            }
        }
    }
    Ok(connection)
}

/// The service's own tables, quoted and sorted, so that two holders do not deadlock.
async fn tables(connection: &mut AnyConnection) -> sqlx::Result<Vec<String>> {
    let rows = sqlx::query(
        "SELECT CAST(quote_ident(tablename) AS TEXT) AS name FROM pg_tables
         WHERE schemaname = current_schema() AND tablename <> '_sqlx_migrations' ORDER BY tablename",
    )
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| row.try_get("name")).collect()
}

async fn run(connection: &mut AnyConnection, sql: String) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(connection)
        .await?;
    Ok(())
}
