//! Where a shop's services keep what they hold: SQLite files in the run's folder, or databases on a server.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use shop_contract::Role;
use shop_kit::store::{DatabaseServer, sqlite_url};

/// The databases of one shop, one for each role. The replicas of a role share theirs.
pub(crate) enum Databases {
    /// Files in a folder.
    Files(PathBuf),
    /// Databases on a PostgreSQL server, whose names begin alike.
    Server {
        /// The server.
        server: DatabaseServer,
        /// What their names begin with: `doorbuster_` and a number that no other run has.
        prefix: String,
    },
}

impl Databases {
    /// Makes room for them: the folder, or the databases on the server.
    ///
    /// # Errors
    /// A folder that cannot be made; a server that is not one, cannot be reached, or refuses.
    pub(crate) async fn make(folder: &Path, server: Option<&str>) -> Result<Self> {
        let Some(server) = server else {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
            return Ok(Self::Files(folder.to_owned()));
        };
        let server = DatabaseServer::parse(server)?;
        let number = uuid::Uuid::now_v7().simple().to_string();
        let databases = Self::Server {
            server,
            prefix: format!("doorbuster_{number}"),
        };
        for role in holders() {
            if let Self::Server { server, prefix } = &databases
                && let Err(e) = server.create(&name(prefix, role)).await
            {
                databases.remove().await;
                return Err(e.into());
            }
        }
        Ok(databases)
    }

    /// The URL of a role's own.
    pub(crate) fn url(&self, role: Role) -> String {
        match self {
            Self::Files(folder) => sqlite_url(&folder.join(format!("{role}.db"))),
            Self::Server { server, prefix } => server.database(&name(prefix, role)),
        }
    }

    /// Tells the log where those are that stay on a server. Files lie where everybody looks.
    pub(crate) fn tell_kept(&self) {
        if let Self::Server { prefix, .. } = self {
            tracing::info!("the databases {prefix}_… stay on their server");
        }
    }

    /// Takes them away with all that is in them. What cannot be taken away is told in the log.
    pub(crate) async fn remove(&self) {
        match self {
            Self::Files(folder) => {
                if let Err(e) = std::fs::remove_dir_all(folder) {
                    tracing::warn!(folder = %folder.display(), error = %e, "the databases could not be removed");
                }
            }
            Self::Server { server, prefix } => {
                for role in holders() {
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

/// The roles that keep something.
fn holders() -> impl Iterator<Item = Role> {
    let keeps = |role: &Role| *role != Role::Gateway;
    Role::ALL.into_iter().filter(keeps)
}
