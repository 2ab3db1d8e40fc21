//! A PostgreSQL server on which each service gets a database of its own, made for the occasion and dropped after it.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::without_credentials;

/// The longest name of a database. PostgreSQL cuts what is longer, and two names could become one.
const LONGEST_NAME: usize = 63;

/// A server, without a database.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseServer {
    url: String,
}

/// What is wrong with a server, or with what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Not the URL of a server.
    #[error(
        "`{0}` is not a PostgreSQL server such as postgres://user:password@127.0.0.1:5432 (without a database, for each service gets its own)"
    )]
    NotAServer(String),
    /// It refuses.
    #[error("the PostgreSQL server {server} does not {what}: {source}")]
    Refused {
        /// Its address, without credentials.
        server: String,
        /// What it was asked for.
        what: String,
        /// Why not.
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

    /// Makes a database, where it is not there yet. A name has 1 to 63 of a-z, 0-9 and `_`.
    ///
    /// # Errors
    /// The server cannot be reached, or its user may not make databases.
    ///
    /// # Panics
    /// A name that would need quotes: names are ours, not a user's.
    pub async fn create(&self, name: &str) -> Result<(), ServerError> {
        assert!(is_plain(name), "{name}");
        let refused = |source| self.refused(&format!("make the database {name}"), source);
        let mut connection = self.connect().await?;
        let there = sqlx::query_scalar::<_, bool>(
            "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)",
        )
        .bind(name)
        .fetch_one(&mut connection)
        .await
        .map_err(refused)?;
        if !there {
            sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))
                .execute(&mut connection)
                .await
                .map_err(refused)?;
        }
        let _ = connection.close().await;
        Ok(())
    }

    /// Drops a database, also one that somebody is still connected to.
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
    (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_without_a_database() {
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
        let told = error.unwrap().to_string();
        assert!(!told.contains("secret"), "{told}");
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
