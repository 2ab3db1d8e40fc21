//! A scenario's shop in a run's folder: opened with progress, closed with its databases taken away.

mod databases;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use results::run_dir::RunDir;
use shop_contract::Role;
use tokio_util::sync::CancellationToken;

use crate::cli::RunOptions;
use crate::docker::Containers;
use crate::house::{House, Placed};
use crate::progress::Progress;
use crate::scenario::Scenario;
use crate::supervisor::{self, Blueprint, Supervisor};
use crate::targets::{self, Targets};
pub(crate) use databases::Databases;

/// A shop that is open.
pub(crate) struct Shop {
    house: Arc<dyn House>,
    /// What was made for it. A shop that was up before us has brought its own.
    ours: Option<Ours>,
}

/// What is made for a shop, and taken away with it.
struct Ours {
    databases: Databases,
    /// Where the shop's events are on a NATS server.
    events: Option<Place>,
    targets: Targets,
}

impl Shop {
    /// Opens the shop and waits until all of it is ready. Where that fails, what was started is stopped. `harness` is
    /// where the harness's own metrics are.
    ///
    /// # Errors
    /// A port that is taken, a folder that cannot be written, a service that does not start.
    pub(crate) async fn open(
        scenario: &Scenario,
        options: &RunOptions,
        dir: &RunDir,
        progress: &Progress,
        harness: Option<SocketAddr>,
        stop: &CancellationToken,
    ) -> Result<Self> {
        if let Some(project) = options.docker.project() {
            return Self::visit(project, scenario, dir, progress, stop).await;
        }
        let data = dir.path().join("data");
        let databases = Databases::make(&data, options.database.as_deref()).await?;
        let events = options.events.as_deref().and_then(Place::on);
        let ways = supervisor::ways(&scenario.faults);
        let blueprint = Blueprint {
            shop: &scenario.shop,
            seed: scenario.seed,
            gateway: options.gateway(),
            databases: &databases,
            events: events.as_ref().map(|place| place.url.as_str()),
            smtp_url: options.smtp_url.as_deref(),
            ways: &ways,
            logs: dir.logs(),
        };
        let supervisor = match Supervisor::open(&blueprint).await {
            Ok(supervisor) => supervisor,
            Err(e) => {
                databases.remove().await;
                return Err(e);
            }
        };
        let shop = Self {
            house: Arc::new(supervisor.clone()),
            ours: Some(Ours {
                databases,
                events,
                targets: Targets::beside(dir),
            }),
        };
        let ready = tokio::select! {
            ready = supervisor.ready(opening(progress)) => ready,
            () = stop.cancelled() => Err(interrupted()),
        };
        if let Err(e) = ready.and_then(|()| shop.tell_where_it_is(dir, harness)) {
            shop.close(options.keep_data).await;
            return Err(e);
        }
        Ok(shop)
    }

    /// Finds the shop that is up in containers, and waits until all of it is ready.
    async fn visit(
        project: &str,
        scenario: &Scenario,
        dir: &RunDir,
        progress: &Progress,
        stop: &CancellationToken,
    ) -> Result<Self> {
        let containers = Containers::open(project, &dir.logs()).await?;
        let shop = Self {
            house: Arc::new(containers.clone()),
            ours: None,
        };
        let ready = async {
            for note in containers.differences(&scenario.shop, &scenario.faults)? {
                progress.say(&note);
            }
            tokio::select! {
                ready = containers.ready(opening(progress)) => ready,
                () = stop.cancelled() => Err(interrupted()),
            }
        };
        if let Err(e) = ready.await.and_then(|()| shop.tell_where_it_is(dir, None)) {
            shop.house.close().await;
            return Err(e);
        }
        Ok(shop)
    }

    fn tell_where_it_is(&self, dir: &RunDir, harness: Option<SocketAddr>) -> Result<()> {
        dir.write_json("topology.json", &self.house.topology())?;
        // A shop in containers has a Prometheus of its own, which knows the token of the admin listeners.
        let Some(ours) = &self.ours else {
            return Ok(());
        };
        let services = self.house.topology().into_iter();
        let services = services.map(|p: Placed| (p.role, p.replica, p.admin));
        ours.targets
            .write(services.chain(harness.map(targets::harness)))
    }

    /// The processes.
    pub(crate) fn house(&self) -> Arc<dyn House> {
        Arc::clone(&self.house)
    }

    /// Where the gateway listens.
    pub(crate) fn gateway(&self) -> SocketAddr {
        let topology = self.house.topology();
        let gateway = topology.iter().find(|p| p.role == Role::Gateway.name());
        gateway.map_or(([127, 0, 0, 1], 0).into(), |p| p.address)
    }

    /// Gives back what was taken: processes of ours stop, then their databases go, unless they are to be kept.
    pub(crate) async fn close(&self, keep_data: bool) {
        // Gone before the services are, so that no one scrapes a closed shop.
        if let Some(ours) = &self.ours {
            ours.targets.remove();
        }
        self.house.close().await;
        let Some(ours) = &self.ours else { return };
        if keep_data {
            ours.databases.tell_kept();
            return;
        }
        ours.databases.remove().await;
        if let Some(place) = ours.events.as_ref().filter(|place| place.ours)
            && let Err(e) = shop_kit::events::delete_stream(&place.url).await
        {
            tracing::warn!(error = %e, "the shop's events are still on the NATS server");
        }
    }
}

fn opening(progress: &Progress) -> impl FnMut(usize, usize) {
    |ready, all| progress.now(format!("opening the shop: {ready} of {all} ready"))
}

fn interrupted() -> anyhow::Error {
    anyhow!("interrupted while the shop was opening; nothing was measured")
}

/// A shop's place on a NATS server.
struct Place {
    url: String,
    /// Made for this shop, and taken away with it.
    ours: bool,
}

impl Place {
    /// A place of its own, for two runs must not take in each other's events. An address that has a path has chosen its
    /// place, which others may use as well. `http` is none at all.
    fn on(events: &str) -> Option<Self> {
        let (_, server) = events.split_once("://")?;
        let chosen = server.trim_end_matches('/').contains('/');
        let number = uuid::Uuid::now_v7().simple();
        let url = if chosen {
            events.to_owned()
        } else {
            format!("{}/run-{number}", events.trim_end_matches('/'))
        };
        Some(Self { url, ours: !chosen })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_place_that_nobody_chose_is_the_runs_own() {
        let own = Place::on("nats://127.0.0.1:4222/").unwrap();
        assert!(own.ours && own.url.starts_with("nats://127.0.0.1:4222/run-"));
        assert_ne!(own.url, Place::on("nats://127.0.0.1:4222").unwrap().url);
        let chosen = Place::on("nats://127.0.0.1:4222/blue").unwrap();
        assert!(!chosen.ours && chosen.url == "nats://127.0.0.1:4222/blue");
        assert!(Place::on("http").is_none());
    }
}
