//! Options that several commands share.

use std::path::PathBuf;

use clap::Args;

use crate::shop::{LocalOptions, docker};

/// The default port of the gateways.
const GATEWAY_PORT: u16 = 8080;

/// The folder of records.
#[derive(Debug, Clone, Args)]
pub(super) struct OutArgs {
    /// Folder in which the run's own folder is created
    #[arg(long, env = "DOORBUSTER_OUT", default_value = "runs")]
    pub(super) out: PathBuf,
}

/// What a run prints.
#[derive(Debug, Clone, Args)]
pub(super) struct OutputArgs {
    /// Print run.json to standard output, and all else to standard error
    #[arg(long)]
    pub(super) json: bool,
    /// No progress, only the summary
    #[arg(long, short)]
    pub(super) quiet: bool,
}

/// How to start a shop of child processes.
#[derive(Debug, Clone, Args)]
pub(super) struct LocalShopArgs {
    /// Port of the gateway on 127.0.0.1, 8080 by default; 0 takes any free one
    #[arg(long, env = "DOORBUSTER_PORT")]
    port: Option<u16>,
    /// Keep the services' databases: in the run's folder, or on the server of --database
    #[arg(long)]
    keep_data: bool,
    /// A PostgreSQL server such as postgres://user:password@127.0.0.1:5432, on which each service gets its own database
    /// during the run, instead of SQLite files
    #[arg(long, env = "DOORBUSTER_DATABASE", hide_env_values = true)]
    database: Option<String>,
    /// A NATS server with JetStream such as nats://127.0.0.1:4222, for events between services, instead of HTTP
    #[arg(long, env = "DOORBUSTER_EVENTS", hide_env_values = true)]
    events: Option<String>,
    /// A mail server such as smtp://127.0.0.1:1025, to which the shop's e-mail is sent. By default it is only stored
    #[arg(long, env = "DOORBUSTER_SMTP_URL", hide_env_values = true)]
    smtp_url: Option<String>,
}

impl LocalShopArgs {
    pub(super) fn options(&self) -> LocalOptions {
        LocalOptions {
            gateway: ([127, 0, 0, 1], self.port.unwrap_or(GATEWAY_PORT)).into(),
            database: self.database.clone(),
            events: self.events.clone(),
            smtp_url: self.smtp_url.clone(),
            keep_data: self.keep_data,
        }
    }

    /// The options that were given. None of them applies to a shop in containers.
    pub(super) fn given(&self) -> Vec<&'static str> {
        let options = [
            ("--port (DOORBUSTER_PORT)", self.port.is_some()),
            ("--database (DOORBUSTER_DATABASE)", self.database.is_some()),
            ("--events (DOORBUSTER_EVENTS)", self.events.is_some()),
            ("--smtp-url (DOORBUSTER_SMTP_URL)", self.smtp_url.is_some()),
            ("--keep-data", self.keep_data),
        ];
        let given = options.iter().filter(|(_, is_given)| *is_given);
        given.map(|(option, _)| *option).collect()
    }
}

/// A shop in containers.
#[derive(Debug, Clone, Args)]
pub(super) struct DockerArgs {
    /// The shop that is up in Docker Compose, in the project of this name
    #[arg(
        long,
        env = "DOORBUSTER_DOCKER",
        value_name = "PROJECT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = docker::PROJECT
    )]
    docker: Option<String>,
}

impl DockerArgs {
    /// The project of a shop in Docker, if one is given. An empty variable counts as not set.
    pub(super) fn project(&self) -> Option<&str> {
        self.docker.as_deref().filter(|project| !project.is_empty())
    }
}
