//! A service's migrations, compiled into the binary.
//!
//! `sqlx::migrate!` does the same, but its macro crate compiles every database driver a second time, for the build itself.
//! Names follow the same rule as there: `0001_orders.sql` is version 1 with the description `orders`.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// The migrations in these files. Paths are relative to the source file that calls the macro.
///
/// ```text
/// static MIGRATIONS: LazyLock<Migrator> = shop_kit::migrations!["../migrations/0001_orders.sql"];
/// ```
#[macro_export]
macro_rules! migrations {
    ($($path:literal),+ $(,)?) => {
        ::std::sync::LazyLock::new(|| {
            $crate::store::migrations::migrator(&[$(($path, include_str!($path))),+])
        })
    };
}

/// A migrator of `(path, SQL)`; see [`migrations!`](crate::migrations).
///
/// # Panics
/// A file name does not begin with digits and `_`. Names are literals, so the first start of the service shows it.
pub fn migrator(files: &[(&'static str, &'static str)]) -> Migrator {
    let migration = |&(path, sql): &(&'static str, &'static str)| {
        let (version, description) = parse(path).unwrap_or_else(|| {
            panic!("the migration `{path}` must be named like `0001_orders.sql`")
        });
        let kind = MigrationType::Simple;
        Migration::new(version, description.into(), kind, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(files.iter().map(migration).collect())
}

fn parse(path: &str) -> Option<(i64, String)> {
    let name = path.rsplit('/').next()?.strip_suffix(".sql")?;
    let (version, description) = name.split_once('_')?;
    Some((version.parse().ok()?, description.replace('_', " ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn embedded_migrations_equal_those_that_sqlx_reads_from_the_folder() {
        let folder =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/events/migrations");
        let read = Migrator::new(folder).await.unwrap();
        let embedded = migrator(&[(
            "../tests/events/migrations/0001_events.sql",
            include_str!("../../tests/events/migrations/0001_events.sql"),
        )]);
        let facts = |m: &Migration| (m.version, m.description.to_string(), m.checksum.to_vec());
        assert_eq!(
            embedded.iter().map(facts).collect::<Vec<_>>(),
            read.iter().map(facts).collect::<Vec<_>>()
        );
    }

    #[test]
    #[should_panic(expected = "must be named like")]
    fn a_file_without_a_version_is_refused() {
        migrator(&[("migrations/orders.sql", "SELECT 1")]);
    }
}
