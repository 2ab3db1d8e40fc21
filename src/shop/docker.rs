//! A shop that is up in Docker Compose, as a run sees it: found by the labels of its containers, struck and mended
//! through the Docker API, and left as it was found.
//!
//! `api` reaches Docker, `found` reads what it says of a container, `fit` holds a scenario against the shop, `orders`
//! kills, stops, pauses and starts, `look` watches, `page` finds a place for the
//! harness's own metrics, and `guard` mends what we have struck when we die ourselves.

mod api;
mod fit;
mod found;
pub(crate) mod guard;
mod house;
mod look;
mod member;
mod orders;
pub(crate) mod page;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use bollard::Docker;
use chaos::Fault;
use shop_contract::Role;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::http::Http;
use crate::pages::Process;
use crate::scenario::ShopSpec;
use crate::serve::ADMIN_TOKEN;
pub(crate) use fit::can_do;
use found::Found;
use guard::Guard;
use member::Member;

/// The project of the docker-compose.yml that comes with the shop.
pub(crate) const PROJECT: &str = "doorbuster";
/// How long a shop that is up may take until all of it says that it is ready.
const OPENING: Duration = Duration::from_secs(60);
/// Between two looks whether it does.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long one process may take to say whether it is ready.
const ANSWER: Duration = Duration::from_millis(250);

/// A shop in containers. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Containers {
    api: Docker,
    members: Arc<Vec<Member>>,
    http: Http,
    token: Option<String>,
    guard: Arc<Guard>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Containers {
    /// Finds the containers of a project and begins to watch them. `logs` is where the guard writes.
    ///
    /// # Errors
    /// No Docker, no such project, a role without a container, one that does not run, a port that is not published.
    pub(crate) async fn open(project: &str, logs: &Path) -> Result<Self> {
        let api = api::connect().await?;
        let shop = find(&api, project).await?;
        shop.must_be_whole()?;
        shop.must_be_ours(project)?;
        let token = shop.token()?;
        let members = shop.containers.into_iter().map(Member::new).collect();
        let containers = Self {
            api,
            members: Arc::new(members),
            http: Http::new().with_token(token.clone()),
            token,
            guard: Arc::new(Guard::start(logs).await?),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        containers.tasks.spawn(look::watch(containers.clone()));
        Ok(containers)
    }

    /// What the scenario takes for granted and the shop does not have, where that does no harm.
    ///
    /// # Errors
    /// Where it does: all of it.
    pub(crate) fn differences(&self, wanted: &ShopSpec, faults: &[Fault]) -> Result<Vec<String>> {
        let containers: Vec<&Found> = self.members.iter().map(|m| &m.found).collect();
        fit::differences(wanted, faults, &containers)
    }

    /// Waits until every service is ready; `progress` is told how many are, of how many.
    ///
    /// # Errors
    /// One that takes too long.
    pub(crate) async fn ready(&self, mut progress: impl FnMut(usize, usize)) -> Result<()> {
        let until = tokio::time::Instant::now() + OPENING;
        loop {
            let waiting: Vec<String> = self
                .members
                .iter()
                .filter(|m| !m.is_ready())
                .map(|m| match m.admin() {
                    Some(admin) => format!("{} (asked at {admin})", m.target()),
                    None => m.target(),
                })
                .collect();
            progress(self.members.len() - waiting.len(), self.members.len());
            if waiting.is_empty() {
                break;
            }
            if tokio::time::Instant::now() > until {
                bail!(
                    "not ready after {} s: {}; see `docker logs` of their containers, and that the addresses can be reached from here",
                    OPENING.as_secs(),
                    waiting.join(", ")
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        // Health is open to everyone; this is not, and a run of which nothing can be seen would be for nothing.
        for member in self.members.iter() {
            let Some(admin) = member.admin() else {
                continue;
            };
            if let Err(e) = self.http.get(admin, "/faults", OPENING).await {
                bail!(
                    "{}: {e:#}; is {ADMIN_TOKEN} of its container what the service was started with?",
                    member.target()
                );
            }
        }
        Ok(())
    }

    fn member(&self, role: &str, replica: u32) -> Option<&Member> {
        self.members
            .iter()
            .find(|m| m.found.role.name() == role && m.found.replica == replica)
    }
}

/// The admin listeners of a shop in containers, for those who strike no process.
pub(crate) struct Admins {
    /// Each replica's; of one that does not run there is none.
    pub(crate) of: BTreeMap<Process, Option<SocketAddr>>,
    /// The token that they want to see.
    pub(crate) token: Option<String>,
}

/// Looks where the admin listeners of a project's shop are.
///
/// # Errors
/// No Docker, no such project.
pub(crate) async fn admins(project: &str) -> Result<Admins> {
    let shop = find(&api::connect().await?, project).await?;
    let token = shop.token()?;
    let of = |found: Found| ((found.role, found.replica), found.standing.admin);
    Ok(Admins {
        of: shop.containers.into_iter().map(of).collect(),
        token,
    })
}

/// What a project has.
struct Project {
    containers: Vec<Found>,
    /// Names of running containers that shop here.
    crowd: Vec<String>,
}

async fn find(api: &Docker, project: &str) -> Result<Project> {
    let labelled = api::of_project(api, project).await?;
    let crowd = labelled.iter().filter(|c| c.is_crowd() && c.running);
    let crowd = crowd.map(|c| c.name.clone()).collect();
    let mut containers = Vec::new();
    for container in &labelled {
        if let Some((role, replica)) = container.place()? {
            let inspected = api::inspect(api, &container.id).await?;
            containers.push(Found::read(role, replica, &inspected)?);
        }
    }
    if containers.is_empty() {
        let others: BTreeSet<String> = api::projects(api).await?;
        let others: Vec<String> = others.into_iter().collect();
        let there_are = match &others[..] {
            [] => "no project of this Docker has a shop; bring one up with `docker compose up -d`"
                .to_owned(),
            some => format!(
                "there are {}; name one with --docker=PROJECT",
                some.join(", ")
            ),
        };
        bail!(
            "the Compose project `{project}` has no shop, that is no container with the label {}: {there_are}",
            api::ROLE
        );
    }
    containers.sort_by_key(|found| (found.role, found.replica));
    for pair in containers.windows(2) {
        if (pair[0].role, pair[0].replica) == (pair[1].role, pair[1].replica) {
            bail!(
                "{} and {} both say that they are {}; give each replica a number of its own with the label {}",
                pair[0].name,
                pair[1].name,
                pair[0].target(),
                api::REPLICA
            );
        }
    }
    Ok(Project { containers, crowd })
}

impl Project {
    /// Every role must be there, up, and within reach.
    fn must_be_whole(&self) -> Result<()> {
        for role in Role::ALL {
            let replicas = self.containers.iter().filter(|c| c.role == role);
            let numbers: Vec<u32> = replicas.map(|c| c.replica).collect();
            if numbers.is_empty() {
                bail!(
                    "the shop has no {role}: no container has the label {}={role}; bring it up with `docker compose up -d`",
                    api::ROLE
                );
            }
            if !numbers.iter().copied().eq(0..numbers.len() as u32) {
                bail!(
                    "the replicas of {role} are {numbers:?}, and they must be counted from 0 without a gap; see the label {}",
                    api::REPLICA
                );
            }
        }
        self.containers.iter().try_for_each(Found::must_run)?;
        self.containers.iter().try_for_each(Found::must_be_in_reach)
    }

    /// Who else shops here would make the measurement wrong, and keep the audit from ever coming to an end.
    fn must_be_ours(&self, project: &str) -> Result<()> {
        if let Some(crowd) = self.crowd.first() {
            bail!(
                "{crowd} is shopping there, and would be measured as well; send it away with `docker compose -p {project} stop crowd`"
            );
        }
        Ok(())
    }

    /// The one token of all of them; that of our own environment where the containers show none.
    fn token(&self) -> Result<Option<String>> {
        let of = |c: &Found| c.setting(ADMIN_TOKEN).map(str::to_owned);
        let tokens: BTreeSet<String> = self.containers.iter().filter_map(of).collect();
        if tokens.len() > 1 {
            bail!("the shop's containers have different {ADMIN_TOKEN}; give all of them the same");
        }
        let ours = || std::env::var(ADMIN_TOKEN).ok();
        let token = tokens.into_iter().next().or_else(ours);
        Ok(token.filter(|token| !token.is_empty()))
    }
}
