//! A shop of child processes: starts, monitors, restarts and stops them.
//!
//! The supervisor reserves all ports before it starts a child, and passes each child its own addresses and those of the
//! others, or of proxies in front of them ([`paths`]). So all children start at once, and a restarted child keeps its
//! address.

mod backend;
mod monitor;
pub(crate) mod paths;
mod signals;
mod usage;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use chaos::{InjectError, Target};
use shop_contract::Role;
use shop_kit::net::Lease;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::environment::{SERVICE_KEY, SUPERVISED};
use crate::http::HttpClient;
use crate::scenario::ShopSpec;
use crate::shop::databases::Databases;
use monitor::{Command, ProcessMonitor, StartOptions, State};
use paths::PathProxies;

/// The time limit until every service is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// The settings of a shop of child processes.
pub(crate) struct LocalSettings<'a> {
    /// Products, replicas, patterns.
    pub shop: &'a ShopSpec,
    /// Seed of catalogue and customers.
    pub seed: u64,
    /// The listener of the gateways.
    pub gateway: SocketAddr,
    /// The database of each role.
    pub databases: &'a Databases,
    /// A NATS server for events, instead of HTTP.
    pub events: Option<&'a str>,
    /// A mail server for the shop's e-mail.
    pub smtp_url: Option<&'a str>,
    /// Edges that need proxies, for path faults.
    pub proxied_edges: &'a [Target],
    /// Folder of the services' logs.
    pub logs: PathBuf,
}

struct ServiceProcess {
    role: Role,
    replica: u32,
    shop: Arc<Lease>,
    admin: Lease,
    monitor: ProcessMonitor,
}

impl ServiceProcess {
    fn target(&self) -> String {
        format!("{}/{}", self.role, self.replica)
    }
}

/// A running shop of child processes. Clones share it.
#[derive(Clone)]
pub(crate) struct Supervisor {
    processes: Arc<Vec<ServiceProcess>>,
    proxies: Arc<PathProxies>,
    http: HttpClient,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Supervisor {
    /// Reserves the ports, opens the proxies and starts every child. [`Self::ready`] waits until they are ready.
    ///
    /// # Errors
    /// A port is taken, a folder cannot be written, or a child cannot be started.
    pub(crate) async fn open(settings: &LocalSettings<'_>) -> Result<Self> {
        let exe = std::env::current_exe().context("this program's own file cannot be found")?;
        let leases = lease_all(settings)?;
        let replicas: Vec<_> = leases
            .iter()
            .map(|(role, replica, shop, _)| ((*role, *replica), shop.address()))
            .collect();
        let proxies = PathProxies::open(settings.proxied_edges, &replicas, settings.seed).await?;
        let environment = environment(settings);
        let (stop, tasks, http) = (
            CancellationToken::new(),
            TaskTracker::new(),
            HttpClient::new(),
        );
        let mut processes = Vec::new();
        for (role, replica, shop, admin) in leases {
            let peers = proxies.peers((role, replica), &replicas);
            let start = StartOptions {
                exe: exe.clone(),
                role: role.name(),
                log: settings.logs.join(format!("{role}-{replica}.log")),
                environment: environment
                    .iter()
                    .cloned()
                    .chain([
                        ("DOORBUSTER_REPLICA".to_owned(), replica.to_string()),
                        ("DOORBUSTER_PEERS".to_owned(), peers),
                        ("DOORBUSTER_LISTEN".to_owned(), shop.address().to_string()),
                        ("DOORBUSTER_ADMIN".to_owned(), admin.address().to_string()),
                        (
                            "DOORBUSTER_DATABASE_URL".to_owned(),
                            settings.databases.url(role),
                        ),
                    ])
                    .collect(),
                admin: admin.address(),
                http: http.clone(),
            };
            processes.push(ServiceProcess {
                role,
                replica,
                shop,
                admin,
                monitor: ProcessMonitor::start(start, stop.clone(), &tasks),
            });
        }
        tasks.close();
        Ok(Self {
            processes: Arc::new(processes),
            proxies: Arc::new(proxies),
            http,
            stop,
            tasks,
        })
    }

    /// Waits until every service is ready. Calls `progress` with the number of ready services and of all services.
    ///
    /// # Errors
    /// A service ended (the error has the last line of its log), or the time limit passed.
    pub(crate) async fn ready(&self, mut progress: impl FnMut(usize, usize)) -> Result<()> {
        let until = tokio::time::Instant::now() + READY_TIMEOUT;
        loop {
            let mut waiting = Vec::new();
            for process in self.processes.iter() {
                match process.monitor.state() {
                    State::Ready => {}
                    State::Failed(why) => bail!("{} did not start: {why}", process.target()),
                    State::Starting | State::Paused | State::Down => waiting.push(process.target()),
                }
            }
            progress(self.processes.len() - waiting.len(), self.processes.len());
            if waiting.is_empty() {
                return Ok(());
            }
            if tokio::time::Instant::now() > until {
                bail!(
                    "not ready after {} s: {}; their logs are in the run's folder",
                    READY_TIMEOUT.as_secs(),
                    waiting.join(", ")
                );
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Stops every child with SIGTERM, and with SIGKILL after a grace period. Resolves when all have ended.
    async fn stop_all(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
        // Last, because a service that shuts down may still call another.
        self.proxies.close().await;
    }

    fn process(&self, role: &str, replica: u32) -> Option<&ServiceProcess> {
        self.processes
            .iter()
            .find(|p| p.role.name() == role && p.replica == replica)
    }

    /// Sends a command to the monitor of a replica and waits for its result.
    async fn command<T>(
        &self,
        role: &str,
        replica: u32,
        command: impl FnOnce(tokio::sync::oneshot::Sender<Result<T, String>>) -> Command,
    ) -> Result<T, InjectError> {
        let target = format!("{role}/{replica}");
        let Some(process) = self.process(role, replica) else {
            return Err(InjectError::NoSuchTarget { target });
        };
        let done = process.monitor.send(command).await;
        done.map_err(|reason| InjectError::Process { target, reason })
    }
}

type Leased = (Role, u32, Arc<Lease>, Lease);

fn lease_all(settings: &LocalSettings<'_>) -> Result<Vec<Leased>> {
    let any = || -> SocketAddr { ([127, 0, 0, 1], 0).into() };
    // All gateways listen on one address. The kernel spreads the connections over those that run.
    let address = settings.gateway;
    let gateway = Lease::take(address).with_context(|| {
        format!("the gateway's address {address} is not available; choose another port with --port (0 takes any free one)")
    })?;
    let gateway = Arc::new(gateway);
    let mut leases = Vec::new();
    for role in Role::ALL {
        for replica in 0..settings.shop.replicas_of(role) {
            let shop = match role {
                Role::Gateway => Arc::clone(&gateway),
                _ => Arc::new(Lease::take(any()).context("no free port for a service")?),
            };
            let admin = Lease::take(any()).context("no free port for an admin listener")?;
            leases.push((role, replica, shop, admin));
        }
    }
    Ok(leases)
}

/// The environment variables that all children share.
fn environment(settings: &LocalSettings<'_>) -> Vec<(String, String)> {
    let shop = settings.shop;
    [
        (SUPERVISED, "1".to_owned()),
        (SERVICE_KEY, uuid::Uuid::new_v4().to_string()),
        (
            "DOORBUSTER_EVENTS",
            settings.events.unwrap_or("http").to_owned(),
        ),
        (
            "DOORBUSTER_SMTP_URL",
            settings.smtp_url.unwrap_or_default().to_owned(),
        ),
        ("DOORBUSTER_WITHOUT", shop.switched_off().join(",")),
        ("DOORBUSTER_SEED", settings.seed.to_string()),
        ("DOORBUSTER_PRODUCTS", shop.products.to_string()),
        ("DOORBUSTER_CUSTOMERS", shop.customers.to_string()),
        ("DOORBUSTER_STOCK", shop.stock.to_string()),
        (
            "DOORBUSTER_BANK_MEDIAN_MS",
            shop.bank.median.as_millis().to_string(),
        ),
        (
            "DOORBUSTER_BANK_DECLINES",
            shop.bank.decline_ratio.to_string(),
        ),
        ("DOORBUSTER_BANK_SILENT", shop.bank.silent_ratio.to_string()),
    ]
    .map(|(k, v)| (k.to_owned(), v))
    .into()
}
