//! `doorbuster chaos`: faults in a shop that is up, by the admin listeners of its services and nothing else.
//!
//! What is here outlives nothing: a fault ends at its target when its time is over, whatever becomes of this command.

mod held;
mod inject;
mod places;
pub(crate) mod proxy;

use std::path::PathBuf;

use anyhow::Result;
use chaos::AdminClient;
use clap::Args;

use crate::cli::DockerArgs;

pub(crate) use held::{clear, list};
pub(crate) use inject::inject;
use places::Places;

/// Help that stands below the options.
pub(crate) const INJECT_HELP: &str = "\
The fault is written as in a scenario, without `at`; docs/scenarios.md has all kinds. Ctrl-C ends it before its time.

Examples:
  doorbuster up                                            in one terminal, and in another:
  doorbuster chaos inject 'target: bank, kind: latency, delay: 300ms, for: 30s'
  doorbuster chaos inject 'target: payment->bank, kind: hang, share: 20%, for: 1m' --detach
  doorbuster chaos inject 'target: order/1, kind: error, for: 10s' --topology runs/up/topology.json
  doorbuster chaos inject 'target: bank, kind: error, for: 1m' --docker
  doorbuster chaos inject 'target: bank, kind: abort, for: 5s' --admin bank=10.0.0.7:9080";
/// The same.
pub(crate) const LIST_HELP: &str = "Example: doorbuster chaos list";
/// The same.
pub(crate) const CLEAR_HELP: &str = "\
Exit codes: 0 no fault is left, 1 a service that lives could not be asked. One that is down holds no faults.

Examples:
  doorbuster chaos clear                 all of them
  doorbuster chaos clear bank-slow       one of them";

/// Where the shop's services are.
#[derive(Debug, Args)]
pub(crate) struct PlaceArgs {
    /// The topology.json of the shop, as `doorbuster up` prints it; by default the newest one in the folder of runs
    #[arg(long, value_name = "FILE")]
    pub topology: Option<PathBuf>,
    /// An admin listener instead; once for each replica, those of a role in their order
    #[arg(long, value_name = "ROLE=HOST:PORT", conflicts_with = "topology")]
    pub admin: Vec<String>,
    #[command(flatten)]
    pub docker: DockerArgs,
    /// Folder of the runs
    #[arg(long, env = "DOORBUSTER_OUT", default_value = "runs")]
    pub out: PathBuf,
    /// What the admin listeners ask for, where they do; other users of this machine can see it here, but not in the
    /// variable
    #[arg(long, env = "DOORBUSTER_ADMIN_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

/// What to inject.
#[derive(Debug, Args)]
pub(crate) struct InjectArgs {
    /// The fault: `target: bank, kind: latency, delay: 300ms, for: 30s`
    pub fault: String,
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Return at once; the fault ends when its time is over, or by `doorbuster chaos clear`
    #[arg(long)]
    pub detach: bool,
    /// Seed of its draws: which requests it touches, and how long they wait
    #[arg(long, env = "DOORBUSTER_SEED", default_value_t = 1)]
    pub seed: u64,
    /// No progress, only the result
    #[arg(long, short)]
    pub quiet: bool,
}

/// What to clear.
#[derive(Debug, Args)]
pub(crate) struct ClearArgs {
    /// The fault's name; all of them when absent
    pub name: Option<String>,
    #[command(flatten)]
    pub place: PlaceArgs,
}

impl PlaceArgs {
    /// Everyone who is there.
    fn places(&self) -> Result<Places> {
        if !self.admin.is_empty() {
            Places::named(&self.admin)
        } else if self.topology.is_some() {
            Places::of_topology(self.topology.as_deref(), &self.out)
        } else if let Some(project) = self.docker.project() {
            Places::in_docker(project)
        } else {
            Places::of_topology(None, &self.out)
        }
    }

    /// With the token that was given; else with that of the places. To be made within a runtime.
    fn client(&self, places: &Places) -> AdminClient {
        let given = self.token.clone().filter(|t| !t.is_empty());
        AdminClient::new(given.or_else(|| places.token()))
    }
}
