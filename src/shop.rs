//! A scenario's shop: started or found, waited for, and closed.

pub(crate) mod backend;
mod databases;
pub(crate) mod docker;
mod events;
mod local;
pub(crate) mod metrics_pages;
pub(crate) mod replica;
pub(crate) mod scrape_targets;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use results::run_dir::RunDir;
use shop_contract::Role;
use tokio_util::sync::CancellationToken;

use crate::scenario::Scenario;
use crate::terminal::progress::Progress;
use backend::{ShopBackend, TopologyEntry};
use databases::Databases;
use events::EventStream;
use local::{LocalSettings, Supervisor};
use scrape_targets::ScrapeTargets;

/// Which shop to use.
#[derive(Debug, Clone)]
pub(crate) enum ShopOptions {
    /// Start child processes.
    Local(LocalOptions),
    /// Attach to the containers of a Compose project.
    Docker {
        /// The name of the project.
        project: String,
    },
}

/// How to start a shop of child processes.
#[derive(Debug, Clone)]
pub(crate) struct LocalOptions {
    /// The listener of the gateways.
    pub gateway: SocketAddr,
    /// A PostgreSQL server, instead of SQLite files.
    pub database: Option<String>,
    /// A NATS server for events, instead of HTTP.
    pub events: Option<String>,
    /// A mail server for the shop's e-mail.
    pub smtp_url: Option<String>,
    /// Keep the databases after the run.
    pub keep_data: bool,
}

/// A shop that is open.
pub(crate) struct Shop {
    backend: Arc<dyn ShopBackend>,
    /// What was created for the shop. `None` for a shop in containers.
    owned: Option<OwnedResources>,
}

/// What is created for a shop and removed with it.
struct OwnedResources {
    databases: Databases,
    events: Option<EventStream>,
    targets: ScrapeTargets,
    keep_data: bool,
}

impl Shop {
    /// Starts or finds the shop and waits until all of it is ready. After an error, everything is closed again. `harness`
    /// is the address of the harness's own metrics.
    ///
    /// # Errors
    /// A port is taken, a folder cannot be written, a service does not start, or `stop` was cancelled.
    pub(crate) async fn open(
        scenario: &Scenario,
        options: &ShopOptions,
        dir: &RunDir,
        progress: &Progress,
        harness: Option<SocketAddr>,
        stop: &CancellationToken,
    ) -> Result<Self> {
        match options {
            ShopOptions::Local(options) => {
                Self::start(scenario, options, dir, progress, harness, stop).await
            }
            ShopOptions::Docker { project } => {
                Self::attach(project, scenario, dir, progress, stop).await
            }
        }
    }

    async fn start(
        scenario: &Scenario,
        options: &LocalOptions,
        dir: &RunDir,
        progress: &Progress,
        harness: Option<SocketAddr>,
        stop: &CancellationToken,
    ) -> Result<Self> {
        let data = dir.path().join("data");
        let databases = Databases::create(&data, options.database.as_deref()).await?;
        let events = options.events.as_deref().and_then(EventStream::on);
        let proxied_edges = local::paths::edges(&scenario.faults);
        let settings = LocalSettings {
            shop: &scenario.shop,
            seed: scenario.seed,
            gateway: options.gateway,
            databases: &databases,
            events: events.as_ref().map(|stream| stream.url.as_str()),
            smtp_url: options.smtp_url.as_deref(),
            proxied_edges: &proxied_edges,
            logs: dir.logs(),
        };
        let supervisor = match Supervisor::open(&settings).await {
            Ok(supervisor) => supervisor,
            Err(e) => {
                databases.remove().await;
                return Err(e);
            }
        };
        let shop = Self {
            backend: Arc::new(supervisor.clone()),
            owned: Some(OwnedResources {
                databases,
                events,
                targets: ScrapeTargets::beside(dir),
                keep_data: options.keep_data,
            }),
        };
        let ready = tokio::select! {
            ready = supervisor.ready(show_ready(progress)) => ready,
            () = stop.cancelled() => Err(interrupted()),
        };
        if let Err(e) = ready.and_then(|()| shop.write_addresses(dir, harness)) {
            shop.close(false).await;
            return Err(e);
        }
        Ok(shop)
    }

    async fn attach(
        project: &str,
        scenario: &Scenario,
        dir: &RunDir,
        progress: &Progress,
        stop: &CancellationToken,
    ) -> Result<Self> {
        let containers = docker::open(project, &dir.logs()).await?;
        let shop = Self {
            backend: Arc::new(containers.clone()),
            owned: None,
        };
        let ready = async {
            for note in containers.differences(&scenario.shop, &scenario.faults)? {
                progress.line(&note);
            }
            tokio::select! {
                ready = containers.ready(show_ready(progress)) => ready,
                () = stop.cancelled() => Err(interrupted()),
            }
        };
        if let Err(e) = ready.await.and_then(|()| shop.write_addresses(dir, None)) {
            shop.backend.close().await;
            return Err(e);
        }
        Ok(shop)
    }

    fn write_addresses(&self, dir: &RunDir, harness: Option<SocketAddr>) -> Result<()> {
        dir.write_json("topology.json", &self.backend.topology())?;
        // A shop in containers has its own Prometheus, which has the token of the admin listeners.
        let Some(owned) = &self.owned else {
            return Ok(());
        };
        let services = self.backend.topology().into_iter();
        let services =
            services.map(|entry: TopologyEntry| (entry.role, entry.replica, entry.admin));
        owned
            .targets
            .write(services.chain(harness.map(scrape_targets::harness)))
    }

    /// The processes.
    pub(crate) fn backend(&self) -> Arc<dyn ShopBackend> {
        Arc::clone(&self.backend)
    }

    /// The shop's public address.
    pub(crate) fn gateway(&self) -> SocketAddr {
        let topology = self.backend.topology();
        let gateway = topology.iter().find(|e| e.role == Role::Gateway.name());
        gateway.map_or(([127, 0, 0, 1], 0).into(), |e| e.address)
    }

    /// Stops child processes and removes what was created for them. Restores disrupted containers. `keep_data` keeps the
    /// databases even if the options do not.
    pub(crate) async fn close(&self, keep_data: bool) {
        // Before the services stop, so that Prometheus does not scrape a closed shop.
        if let Some(owned) = &self.owned {
            owned.targets.remove();
        }
        self.backend.close().await;
        let Some(owned) = &self.owned else { return };
        if keep_data || owned.keep_data {
            owned.databases.log_kept();
            return;
        }
        owned.databases.remove().await;
        if let Some(stream) = owned.events.as_ref().filter(|stream| stream.is_owned)
            && let Err(e) = shop_kit::events::delete_stream(&stream.url).await
        {
            tracing::warn!(error = %e, "the shop's events could not be removed from the NATS server");
        }
    }
}

fn show_ready(progress: &Progress) -> impl FnMut(usize, usize) {
    |ready, all| progress.activity(format!("opening the shop: {ready} of {all} ready"))
}

fn interrupted() -> anyhow::Error {
    anyhow!("interrupted while the shop was opening; nothing was measured")
}
