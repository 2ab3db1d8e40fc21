//! Sends a scenario's load and records it, for runs that open a shop and for runs against one that is up.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use jiff::Timestamp;
use loadgen::plan::Plan;
use loadgen::{Event, Options, Outcome, Target};
use results::record;
use results::run_dir::RunDir;
use tokio_util::sync::CancellationToken;

use super::closing;
use super::recorder::{Recorder, States};
use crate::harness_metrics::HarnessMetrics;
use crate::runtime;
use crate::scenario::Scenario;
use crate::terminal::progress::Progress;

/// A load that is planned, with the folder of its record.
pub(super) struct PlannedLoad {
    pub(super) dir: RunDir,
    pub(super) started_at: Timestamp,
    pub(super) planned: record::PlanDigest,
    pub(super) metrics: HarnessMetrics,
    plan: Plan,
}

impl PlannedLoad {
    /// Creates the run's folder in `out`, and writes the scenario and the plan. `faults` are the lines of the fault
    /// schedule, for the plan's digest.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub(super) fn create(
        scenario: &Scenario,
        metrics: HarnessMetrics,
        out: &Path,
        name: &str,
        faults: &[String],
    ) -> Result<Self> {
        let started_at = Timestamp::now();
        let dir = RunDir::create(out, name, started_at)?;
        runtime::log_to(&dir);
        dir.write_text("scenario.yaml", &scenario.text)?;
        let plan = Plan::new(
            scenario.load.clone(),
            scenario.seed,
            scenario.shop.customers,
        );
        let planned = closing::write_plan(&dir, &plan, faults)?;
        Ok(Self {
            dir,
            started_at,
            planned,
            metrics,
            plan,
        })
    }

    /// Opens the files of the record that grow during the load.
    ///
    /// # Errors
    /// A file that cannot be created.
    pub(super) fn recorder(
        &self,
        states: Arc<States>,
        progress: &Arc<Progress>,
    ) -> Result<Recorder> {
        Recorder::open(
            &self.dir,
            Timestamp::now(),
            states,
            Arc::clone(progress),
            self.metrics.clone(),
            self.plan.demand(),
        )
    }

    /// Sends the load to a target from the instant `start`, or from now on. Ends early when `stop` is cancelled.
    ///
    /// # Errors
    /// The load cannot be sent at all.
    pub(super) async fn send(
        &self,
        target: Target,
        start: Option<Instant>,
        stop: CancellationToken,
        observe: impl FnMut(Event),
    ) -> Result<Outcome> {
        let folder = self.dir.path().file_name();
        let options = Options {
            start,
            key_prefix: folder.map_or_else(String::new, |n| n.to_string_lossy().into_owned()),
            metrics: Some(self.metrics.recorder()),
            ..Options::default()
        };
        Ok(loadgen::run(&self.plan, target, options, stop, observe).await?)
    }
}
