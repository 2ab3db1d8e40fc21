//! Somebody else's lock on writes, held on purpose: by a connection of its own, that belongs to none of the pools.
//!
//! It is a real lock. On SQLite it is the file's one write lock, on PostgreSQL an `EXCLUSIVE` one on every table, beside
//! which reads go on. So it stands in the way of every process that has the database open, and ends when this process
//! does, however that comes about.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};
use tokio_util::sync::CancellationToken;

use super::{System, is_lock_timeout, without_credentials};

/// How long one attempt waits for the lock. Less than the second after which PostgreSQL looks for deadlocks: of two who
/// wait for each other it is to be this one that gives way.
const ATTEMPT: Duration = Duration::from_millis(250);
/// Between two attempts, where the database itself did not make us wait.
const PAUSE: Duration = Duration::from_millis(100);
/// How much longer than the fault the database leaves the lock to a holder that does not move any more.
const OVERTIME: Duration = Duration::from_secs(2);

/// Takes the lock and holds it until `over`. `taken` says whether writes meet a lock meanwhile: this one, or one that
/// kept this one away, such as that of another replica with the same fault. `lasts` is how long it is meant to be held.
pub(super) async fn hold(
    system: System,
    url: &str,
    lasts: Duration,
    taken: Arc<AtomicBool>,
    over: CancellationToken,
) {
    let attempts = async {
        loop {
            match take(system, url, lasts).await {
                Ok(held) => return held,
                Err(e) if is_lock_timeout(&e) => taken.store(true, Ordering::Relaxed),
                Err(e) => {
                    // Whatever keeps us from the database, it is no lock.
                    taken.store(false, Ordering::Relaxed);
                    let url = without_credentials(url);
                    tracing::warn!(url, error = %e, "the lock cannot be taken yet");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    // An attempt that is cut short loses its connection, and with it what it may have got.
    let held = over.run_until_cancelled(attempts).await;
    if let Some(mut held) = held {
        taken.store(true, Ordering::Relaxed);
        over.cancelled().await;
        let released = sqlx::raw_sql("ROLLBACK").execute(&mut held).await;
        if let Err(e) = released {
            tracing::warn!(error = %e, "the lock ends with its connection");
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
            let patience = format!("PRAGMA busy_timeout = {attempt_ms}");
            run(&mut connection, patience).await?;
            run(&mut connection, system.begin().to_owned()).await?;
        }
        System::Postgres => {
            // Should this process be stopped in its tracks, the server ends the session by itself.
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

/// The service's own tables, quoted and in one order, so that two holders do not wait for each other.
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
