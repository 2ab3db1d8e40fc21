//! The two database systems.

/// The database system of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum System {
    Sqlite,
    Postgres,
}

impl System {
    pub(super) fn of(url: &str) -> Self {
        if url.starts_with("sqlite:") {
            Self::Sqlite
        } else {
            Self::Postgres
        }
    }

    /// Its `db.system.name` in metrics and spans.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgresql",
        }
    }

    /// The statement that begins a writing transaction.
    pub(super) fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }
}
