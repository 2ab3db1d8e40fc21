//! The databases of a shop: SQLite files in the run's folder, or databases on a PostgreSQL server.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use shop_contract::Role;
use shop_kit::store::{DatabaseServer, sqlite_url};

/// The databases of one shop: one per role, shared by its replicas.
pub(crate) enum Databases {
    /// Files in a folder.
    Files(PathBuf),
    /// Databases on a PostgreSQL server, with a common prefix in their names.
    Server {
        /// The server.
        server: DatabaseServer,
        /// The prefix: `doorbuster_` and a number unique to the run.
        prefix: String,
    },
}

impl Databases {
    /// Creates the folder, or the databases on the server.
    ///
    /// # Errors
    /// The folder cannot be created; the URL is no server, or the server cannot be reached or refuses.
    pub(crate) async fn create(folder: &Path, server: Option<&str>) -> Result<Self> {
        let Some(server) = server else {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("the folder {} cannot be created", folder.display()))?;
            return Ok(Self::Files(folder.to_owned()));
        };
        let server = DatabaseServer::parse(server)?;
        let number = uuid::Uuid::now_v7().simple().to_string();
        let databases = Self::Server {
            server,
            prefix: format!("doorbuster_{number}"),
        };
        for role in roles_with_database() {
            if let Self::Server { server, prefix } = &databases
                && let Err(e) = server.create(&name(prefix, role)).await
            {
                databases.remove().await;
                return Err(e.into());
            }
        }
        Ok(databases)
    }

    /// The URL of a role's database.
    pub(crate) fn url(&self, role: Role) -> String {
        match self {
            Self::Files(folder) => sqlite_url(&folder.join(format!("{role}.db"))),
            Self::Server { server, prefix } => server.database(&name(prefix, role)),
        }
    }

    /// Logs the names of databases that stay on a server. Files stay in the run's folder.
    pub(crate) fn log_kept(&self) {
        if let Self::Server { prefix, .. } = self {
            tracing::info!("the databases {prefix}_… are kept on their server");
        }
    }

    /// Removes the databases with their content. Failures are logged.
    pub(crate) async fn remove(&self) {
        match self {
            Self::Files(folder) => {
                if let Err(e) = std::fs::remove_dir_all(folder) {
                    tracing::warn!(folder = %folder.display(), error = %e, "the databases could not be removed");
                }
            }
            Self::Server { server, prefix } => {
                for role in roles_with_database() {
                    if let Err(e) = server.drop(&name(prefix, role)).await {
                        tracing::warn!(error = %e, "a database could not be dropped");
                    }
                }
            }
        }
    }
}

fn name(prefix: &str, role: Role) -> String {
    format!("{prefix}_{role}")
}

/// The roles with a database.
fn roles_with_database() -> impl Iterator<Item = Role> {
    Role::ALL.into_iter().filter(|role| *role != Role::Gateway)
}
