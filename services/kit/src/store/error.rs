//! The errors of the store.

/// An error of the store.
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
        /// Its URL, without credentials.
        url: String,
        /// The cause.
        source: sqlx::Error,
    },
    /// A migration failed.
    #[error("the schema of `{url}` cannot be brought up to date: {source}")]
    Migrate {
        /// Its URL, without credentials.
        url: String,
        /// The cause.
        source: sqlx::migrate::MigrateError,
    },
    /// A stored row has an invalid value.
    #[error("a stored row cannot be read: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// Whether it means overload rather than a defect: no connection became free in time, or another writer held the lock all
    /// the time.
    pub fn is_overload(&self) -> bool {
        match self {
            Self::Sql(sqlx::Error::PoolTimedOut) => true,
            Self::Sql(e) => is_lock_timeout(e),
            _ => false,
        }
    }
}

/// Whether a statement gave up waiting for a lock: `SQLITE_BUSY`, or PostgreSQL's `lock_not_available`.
pub(super) fn is_lock_timeout(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|e| e.code());
    code.is_some_and(|c| c == "5" || c == "55P03")
}
