//! All containers of a shop.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use bollard::Docker;
use chaos::Fault;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::api;
use super::compatibility;
use super::container::ContainerInfo;
use super::guard::Guard;
use super::project::Project;
use super::service::ServiceContainer;
use crate::environment::ADMIN_TOKEN;
use crate::http::HttpClient;
use crate::scenario::ShopSpec;

/// The time limit until every service is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// The interval of checks whether all are.
const READY_POLL: Duration = Duration::from_millis(100);
/// The time limit for one `/readyz` response.
const READYZ_TIMEOUT: Duration = Duration::from_millis(250);

/// The containers of a shop. Clones share them.
#[derive(Clone)]
pub(crate) struct Containers {
    pub(super) api: Docker,
    pub(super) services: Arc<Vec<ServiceContainer>>,
    pub(super) http: HttpClient,
    pub(super) token: Option<String>,
    pub(super) guard: Arc<Guard>,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl Containers {
    pub(super) fn new(api: Docker, shop: Project, token: Option<String>, guard: Guard) -> Self {
        let services = shop.containers.into_iter().map(ServiceContainer::new);
        Self {
            api,
            services: Arc::new(services.collect()),
            http: HttpClient::new().with_token(token.clone()),
            token,
            guard: Arc::new(guard),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Runs a task that ends before the shop is closed.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Compares the shop with a scenario's assumptions. Gives a note for each harmless difference.
    ///
    /// # Errors
    /// Every difference that matters.
    pub(crate) fn differences(&self, wanted: &ShopSpec, faults: &[Fault]) -> Result<Vec<String>> {
        let containers: Vec<&ContainerInfo> = self.services.iter().map(|s| &s.info).collect();
        compatibility::differences(wanted, faults, &containers)
    }

    /// Waits until every service is ready. Calls `progress` with the number of ready services and of all services.
    ///
    /// # Errors
    /// The time limit passed.
    pub(crate) async fn ready(&self, mut progress: impl FnMut(usize, usize)) -> Result<()> {
        let until = tokio::time::Instant::now() + READY_TIMEOUT;
        loop {
            let waiting: Vec<String> = self
                .services
                .iter()
                .filter(|s| !s.is_ready())
                .map(|s| match s.admin() {
                    Some(admin) => format!("{} (at {admin})", s.target()),
                    None => s.target(),
                })
                .collect();
            progress(self.services.len() - waiting.len(), self.services.len());
            if waiting.is_empty() {
                break;
            }
            if tokio::time::Instant::now() > until {
                bail!(
                    "not ready after {} s: {}; see `docker logs` of their containers, and that the addresses can be reached from here",
                    READY_TIMEOUT.as_secs(),
                    waiting.join(", ")
                );
            }
            tokio::time::sleep(READY_POLL).await;
        }
        // `/readyz` needs no token. `/faults` does, and a wrong token would make the run useless.
        for service in self.services.iter() {
            let Some(admin) = service.admin() else {
                continue;
            };
            if let Err(e) = self.http.get(admin, "/faults", READY_TIMEOUT).await {
                bail!(
                    "{}: {e:#}; is {ADMIN_TOKEN} of its container what the service was started with?",
                    service.target()
                );
            }
        }
        Ok(())
    }

    pub(super) fn service(&self, role: &str, replica: u32) -> Option<&ServiceContainer> {
        self.services
            .iter()
            .find(|s| s.info.role.name() == role && s.info.replica == replica)
    }

    /// Asks a service whether it is ready, and notes it if so.
    pub(super) async fn check_ready(&self, service: &ServiceContainer) -> bool {
        let Some(admin) = service.admin() else {
            return false;
        };
        let started_at = service.state().started_at;
        let readyz = self.http.get(admin, "/readyz", READYZ_TIMEOUT).await;
        if readyz.is_ok() {
            service.set_ready(&started_at);
        }
        readyz.is_ok()
    }

    /// Inspects a container during an action.
    pub(super) async fn refresh(&self, service: &ServiceContainer) -> Result<()> {
        let inspected = api::inspect(&self.api, &service.info.id).await?;
        service.set_state(service.info.state_of(&inspected));
        Ok(())
    }
}
