//! A PostgreSQL server on which each service of a run gets its own database, created before the run and dropped after it.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::url::without_credentials;

/// The longest database name. PostgreSQL truncates longer ones, so two names could become one.
const MAX_NAME_LEN: usize = 63;

/// A server, without a database name.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseServer {
    url: String,
}

/// An error of the server, or a wrong URL.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Not the URL of a PostgreSQL server.
    #[error(
        "`{0}` is not a PostgreSQL server such as postgres://user:password@127.0.0.1:5432 (without a database, for each service gets its own)"
    )]
    NotAServer(String),
    /// The server refused or could not be reached.
    #[error("the PostgreSQL server {server} does not {what}: {source}")]
    Refused {
        /// Its address, without credentials.
        server: String,
        /// What was requested.
        what: String,
        /// The cause.
        source: sqlx::Error,
    },
}

impl DatabaseServer {
    /// From a URL such as `postgres://user:password@host:5432`.
    ///
    /// # Errors
    /// Another kind of URL, or one that names a database.
    pub fn parse(url: &str) -> Result<Self, ServerError> {
        let url = url.trim_end_matches('/');
        let rest = ["postgres://", "postgresql://"]
            .iter()
            .find_map(|scheme| url.strip_prefix(scheme));
        match rest {
            Some(rest) if !rest.is_empty() && !rest.contains(['/', '?']) => Ok(Self {
                url: url.to_owned(),
            }),
            _ => Err(ServerError::NotAServer(without_credentials(url))),
        }
    }

    /// The URL of a database on it.
    pub fn database(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    /// Creates a database unless it exists. A name has 1 to 63 of a-z, 0-9 and `_`.
    ///
    /// # Errors
    /// The server cannot be reached, or its user may not create databases.
    ///
    /// # Panics
    /// A name that would need quotes: names come from this program, not from a user.
    pub async fn create(&self, name: &str) -> Result<(), ServerError> {
        assert!(is_plain(name), "{name}");
        let refused = |source| self.refused(&format!("make the database {name}"), source);
        let mut connection = self.connect().await?;
        let exists = sqlx::query_scalar::<_, bool>(
            "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)",
        )
        .bind(name)
        .fetch_one(&mut connection)
        .await
        .map_err(refused)?;
        if !exists {
            sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))
                .execute(&mut connection)
                .await
                .map_err(refused)?;
        }
        let _ = connection.close().await;
        Ok(())
    }

    /// Drops a database, also one with open connections.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses.
    ///
    /// # Panics
    /// A name that would need quotes.
    pub async fn drop(&self, name: &str) -> Result<(), ServerError> {
        assert!(is_plain(name), "{name}");
        let mut connection = self.connect().await?;
        sqlx::raw_sql(AssertSqlSafe(format!(
            "DROP DATABASE IF EXISTS {name} WITH (FORCE)"
        )))
        .execute(&mut connection)
        .await
        .map_err(|source| self.refused(&format!("drop the database {name}"), source))?;
        let _ = connection.close().await;
        Ok(())
    }

    async fn connect(&self) -> Result<PgConnection, ServerError> {
        PgConnection::connect(&self.database("postgres"))
            .await
            .map_err(|source| self.refused("answer", source))
    }

    fn refused(&self, what: &str, source: sqlx::Error) -> ServerError {
        ServerError::Refused {
            server: without_credentials(&self.url),
            what: what.to_owned(),
            source,
        }
    }
}

fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    (1..=MAX_NAME_LEN).contains(&name.len()) && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_url_has_no_database() {
        let server = DatabaseServer::parse("postgres://shop:secret@h:5432/").unwrap();
        assert_eq!(
            server.database("order_1"),
            "postgres://shop:secret@h:5432/order_1"
        );
        for wrong in [
            "postgres://",
            "postgres://h/shop",
            "mysql://h",
            "h:5432",
            "",
        ] {
            assert!(DatabaseServer::parse(wrong).is_err(), "{wrong}");
        }
        let error = DatabaseServer::parse("postgres://shop:secret@h/x").err();
        let message = error.unwrap().to_string();
        assert!(!message.contains("secret"), "{message}");
    }

    #[test]
    fn names_that_need_quotes_are_not_plain() {
        assert!(is_plain("order_07"));
        let long = "a".repeat(64);
        for wrong in ["", "Order", "a b", "a\"b", "a-b", &long] {
            assert!(!is_plain(wrong), "{wrong}");
        }
    }
}
