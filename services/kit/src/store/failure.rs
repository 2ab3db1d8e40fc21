//! The `error.type` of a failed database operation, the same in spans and metrics.

use std::borrow::Cow;
use std::error::Error;

use super::error::StoreError;

/// The code of the database, such as `5` (SQLite's busy) or `23505`, else a name of our own. Codes are few, and none contains
/// data.
pub(super) fn error_type(error: &(dyn Error + 'static)) -> Cow<'static, str> {
    if let Some(e) = error.downcast_ref::<sqlx::Error>() {
        return of_sql(e);
    }
    match error.downcast_ref::<StoreError>() {
        Some(StoreError::Sql(e)) => of_sql(e),
        Some(StoreError::Corrupt(_)) => "corrupt_row".into(),
        _ => "_OTHER".into(),
    }
}

/// The code of the database, if it returned one.
pub(super) fn code(error: &(dyn Error + 'static)) -> Option<String> {
    let error = match error.downcast_ref::<StoreError>() {
        Some(StoreError::Sql(e)) => e,
        _ => error.downcast_ref::<sqlx::Error>()?,
    };
    Some(error.as_database_error()?.code()?.into_owned())
}

fn of_sql(error: &sqlx::Error) -> Cow<'static, str> {
    match error {
        sqlx::Error::Database(e) => match e.code() {
            Some(code) => code.into_owned().into(),
            None => "_OTHER".into(),
        },
        sqlx::Error::PoolTimedOut => "pool_timeout".into(),
        sqlx::Error::PoolClosed => "pool_closed".into(),
        sqlx::Error::Io(_) => "io".into(),
        sqlx::Error::RowNotFound => "row_not_found".into(),
        _ => "_OTHER".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_have_a_code_or_a_name() {
        let late = StoreError::Sql(sqlx::Error::PoolTimedOut);
        assert_eq!(
            (error_type(&late), code(&late)),
            ("pool_timeout".into(), None)
        );
        let corrupt = StoreError::Corrupt("4711".to_owned());
        assert_eq!(
            error_type(&corrupt),
            "corrupt_row",
            "without the content of the row"
        );
        assert_eq!(error_type(&sqlx::Error::RowNotFound), "row_not_found");
        assert_eq!(error_type(&std::fmt::Error), "_OTHER");
    }
}
