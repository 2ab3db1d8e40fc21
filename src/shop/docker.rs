//! A shop in the containers of a Docker Compose project. A run attaches to it through the Docker API and leaves it as it
//! was.
//!
//! | file | subject |
//! |---|---|
//! | `api` | connects to Docker and lists containers |
//! | `project` | finds a project's containers by their labels |
//! | `container` | reads what Docker reports about a container |
//! | `service` | the current state of a service's container, and the disruption in effect |
//! | `containers` | all containers of a shop |
//! | `actions` | kills, stops, pauses and starts containers |
//! | `poll` | watches the containers during a run |
//! | `backend` | implements the shop's interface |
//! | `compatibility` | compares a scenario with the shop |
//! | `guard` | undoes disruptions if the run dies |
//! | `metrics_listener` | where a Prometheus in containers finds the harness's metrics |

mod actions;
mod api;
mod backend;
pub(crate) mod compatibility;
mod container;
mod containers;
pub(crate) mod guard;
pub(crate) mod metrics_listener;
mod poll;
pub(crate) mod project;
mod service;

use std::path::Path;

use anyhow::Result;

pub(crate) use containers::Containers;

/// The project of the docker-compose.yml that comes with the shop.
pub(crate) const PROJECT: &str = "doorbuster";

/// Finds the containers of a project and starts to poll them. `logs` is the folder of the guard's log.
///
/// # Errors
/// No Docker, no such project, a role without a container, a container that does not run, a port that is not published.
pub(crate) async fn open(project: &str, logs: &Path) -> Result<Containers> {
    let api = api::connect().await?;
    let shop = project::find(&api, project).await?;
    shop.check_complete()?;
    shop.check_no_other_load(project)?;
    let token = shop.token()?;
    let guard = guard::Guard::start(logs).await?;
    let containers = Containers::new(api, shop, token, guard);
    containers.spawn(poll::watch(containers.clone()));
    Ok(containers)
}
