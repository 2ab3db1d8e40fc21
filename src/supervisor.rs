//! The shop as child processes: started, watched, killed and paused on purpose, restarted, stopped.
//!
//! Every address is decided before the first child starts: the supervisor reserves the ports and tells each child
//! its own and all others', or those of proxies on the way to them (`paths`). So children start in any order and at once, and come back to where they were.

mod house;
mod keeper;
mod paths;
mod signals;
mod usage;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use chaos::{BoxFuture, InjectError, ProcessAction, Processes, Target};
use shop_contract::Role;
use shop_kit::net::Lease;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::http::Http;
use crate::scenario::ShopSpec;
use crate::serve::{SERVICE_KEY, SUPERVISED};
use crate::shop::Databases;
use keeper::{Keeper, Order, State};
use paths::Proxied;
pub(crate) use paths::ways;

/// How long the shop may take until all of it is ready.
const OPENING: Duration = Duration::from_secs(60);

/// What a shop is opened from.
pub(crate) struct Blueprint<'a> {
    /// Products, replicas, patterns.
    pub shop: &'a ShopSpec,
    /// Seed of catalogue and customers.
    pub seed: u64,
    /// Where the gateway listens.
    pub gateway: SocketAddr,
    /// Where each role keeps what it holds.
    pub databases: &'a Databases,
    /// A NATS server that events go through, instead of HTTP.
    pub events: Option<&'a str>,
    /// Where e-mail goes.
    pub smtp_url: Option<&'a str>,
    /// Ways that are to have proxies on them, for faults of their paths.
    pub ways: &'a [Target],
    /// Folder of the logs.
    pub logs: PathBuf,
}

struct Member {
    role: Role,
    replica: u32,
    shop: Arc<Lease>,
    admin: Lease,
    keeper: Keeper,
}

impl Member {
    fn target(&self) -> String {
        format!("{}/{}", self.role, self.replica)
    }
}

/// A shop that is up. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Supervisor {
    members: Arc<Vec<Member>>,
    proxied: Arc<Proxied>,
    http: Http,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Supervisor {
    /// Reserves the ports, opens the proxies and starts every child. [`Self::ready`] then waits for them.
    ///
    /// # Errors
    /// A port that is taken, a folder that cannot be written, a child that cannot be started.
    pub(crate) async fn open(blueprint: &Blueprint<'_>) -> Result<Self> {
        let exe = std::env::current_exe().context("this program's own file cannot be found")?;
        let leases = lease_all(blueprint)?;
        let replicas: Vec<_> = leases
            .iter()
            .map(|(role, replica, shop, _)| ((*role, *replica), shop.address()))
            .collect();
        let proxied = Proxied::open(blueprint.ways, &replicas, blueprint.seed).await?;
        let environment = environment(blueprint);
        let (stop, tasks, http) = (CancellationToken::new(), TaskTracker::new(), Http::new());
        let mut members = Vec::new();
        for (role, replica, shop, admin) in leases {
            let peers = proxied.peers((role, replica), &replicas);
            let start = keeper::Start {
                exe: exe.clone(),
                role: role.name(),
                log: blueprint.logs.join(format!("{role}-{replica}.log")),
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
                            blueprint.databases.url(role),
                        ),
                    ])
                    .collect(),
                admin: admin.address(),
                http: http.clone(),
            };
            members.push(Member {
                role,
                replica,
                shop,
                admin,
                keeper: Keeper::start(start, stop.clone(), &tasks),
            });
        }
        tasks.close();
        Ok(Self {
            members: Arc::new(members),
            proxied: Arc::new(proxied),
            http,
            stop,
            tasks,
        })
    }

    /// Waits until every service is ready; `progress` is told how many are, of how many.
    ///
    /// # Errors
    /// A service that ended instead, with the end of its log; or one that takes too long.
    pub(crate) async fn ready(&self, mut progress: impl FnMut(usize, usize)) -> Result<()> {
        let until = tokio::time::Instant::now() + OPENING;
        loop {
            let mut waiting = Vec::new();
            for member in self.members.iter() {
                match member.keeper.state() {
                    State::Ready => {}
                    State::Failed(why) => bail!("{} did not start: {why}", member.target()),
                    State::Starting | State::Paused | State::Down => waiting.push(member.target()),
                }
            }
            progress(self.members.len() - waiting.len(), self.members.len());
            if waiting.is_empty() {
                return Ok(());
            }
            if tokio::time::Instant::now() > until {
                bail!(
                    "not ready after {} s: {}; their logs are in the run's folder",
                    OPENING.as_secs(),
                    waiting.join(", ")
                );
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Stops every child: asked first, killed when it does not listen. Resolves when all are gone.
    async fn stop(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
        // Last, for a service that ends in its own time may still have something to say to another.
        self.proxied.close().await;
    }

    fn member(&self, role: &str, replica: u32) -> Option<&Member> {
        self.members
            .iter()
            .find(|m| m.role.name() == role && m.replica == replica)
    }

    async fn order<T>(
        &self,
        role: &str,
        replica: u32,
        order: impl FnOnce(tokio::sync::oneshot::Sender<Result<T, String>>) -> Order,
    ) -> Result<T, InjectError> {
        let target = format!("{role}/{replica}");
        let Some(member) = self.member(role, replica) else {
            return Err(InjectError::NoSuchTarget { target });
        };
        let done = member.keeper.order(order).await;
        done.map_err(|reason| InjectError::Process { target, reason })
    }
}

impl Processes for Supervisor {
    fn replicas(&self, role: &str) -> u32 {
        self.members
            .iter()
            .filter(|m| m.role.name() == role)
            .count() as u32
    }

    fn admin_address(&self, role: &str, replica: u32) -> Option<SocketAddr> {
        let member = self.member(role, replica)?;
        matches!(member.keeper.state(), State::Ready | State::Starting)
            .then(|| member.admin.address())
    }

    fn act<'a>(
        &'a self,
        role: &'a str,
        replica: u32,
        action: ProcessAction,
    ) -> BoxFuture<'a, Result<Option<u32>, InjectError>> {
        Box::pin(async move {
            match action {
                ProcessAction::Kill => self.order(role, replica, Order::Kill).await.map(Some),
                ProcessAction::Stop => self.order(role, replica, Order::Stop).await.map(Some),
                ProcessAction::Pause { at_most } => {
                    let pause = |reply| Order::Pause(at_most, reply);
                    self.order(role, replica, pause).await.map(Some)
                }
                ProcessAction::Start { delay } => {
                    let restart = |reply| Order::Restart(delay, reply);
                    self.order(role, replica, restart).await.map(|()| None)
                }
                ProcessAction::Resume => {
                    let resumed = self.order(role, replica, Order::Resume).await;
                    resumed.map(|()| None)
                }
            }
        })
    }
}

type Leased = (Role, u32, Arc<Lease>, Lease);

fn lease_all(blueprint: &Blueprint<'_>) -> Result<Vec<Leased>> {
    let any = || -> SocketAddr { ([127, 0, 0, 1], 0).into() };
    // The shop has one door. All gateways listen on it, and the kernel spreads the connections over those that live.
    let address = blueprint.gateway;
    let door = Lease::take(address).with_context(|| {
        format!("the gateway's address {address} cannot be had; choose another port with --port (0 takes any free one)")
    })?;
    let door = Arc::new(door);
    let mut leases = Vec::new();
    for role in Role::ALL {
        for replica in 0..blueprint.shop.replicas_of(role) {
            let shop = match role {
                Role::Gateway => Arc::clone(&door),
                _ => Arc::new(Lease::take(any()).context("no free port for a service")?),
            };
            let admin = Lease::take(any()).context("no free port for an admin listener")?;
            leases.push((role, replica, shop, admin));
        }
    }
    Ok(leases)
}

/// What every child is told alike.
fn environment(blueprint: &Blueprint<'_>) -> Vec<(String, String)> {
    let shop = blueprint.shop;
    [
        (SUPERVISED, "1".to_owned()),
        (SERVICE_KEY, uuid::Uuid::new_v4().to_string()),
        (
            "DOORBUSTER_EVENTS",
            blueprint.events.unwrap_or("http").to_owned(),
        ),
        (
            "DOORBUSTER_SMTP_URL",
            blueprint.smtp_url.unwrap_or_default().to_owned(),
        ),
        ("DOORBUSTER_WITHOUT", shop.switched_off().join(",")),
        ("DOORBUSTER_SEED", blueprint.seed.to_string()),
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
