//! The plan and the summary of a load, for every kind of run.

use anyhow::Result;
use jiff::Timestamp;
use loadgen::Outcome;
use loadgen::plan::Plan;
use results::record::{self, RunSummary};
use results::run_dir::{PLAN, RunDir};
use results::summary;

use crate::scenario::Scenario;
use crate::terminal::output;

/// The number of planned sessions per write, so that a large plan is never in memory as a whole.
const PLAN_LINES: usize = 1000;

/// Writes `plan.jsonl` and gives its digest.
pub(super) fn write_plan(
    dir: &RunDir,
    plan: &Plan,
    faults: &[String],
) -> Result<record::PlanDigest> {
    let mut planned = dir.lines(PLAN)?;
    let mut sessions = plan.lines().peekable();
    while sessions.peek().is_some() {
        let chunk: Vec<_> = sessions.by_ref().take(PLAN_LINES).collect();
        planned.append_all(&chunk)?;
    }
    drop(sessions);
    Ok(plan.digest(faults))
}

/// The summary of a load, without verdict. The caller adds the parts that need an own shop, such as faults and audit.
pub(super) fn summary(
    scenario: &Scenario,
    started_at: Timestamp,
    planned: record::PlanDigest,
    outcome: Outcome,
) -> RunSummary {
    RunSummary {
        duration_s: outcome.phases.last().map_or(0.0, |p| p.to_s),
        interrupted: outcome.interrupted,
        generator: outcome.generator,
        phases: outcome.phases,
        steps: outcome.steps,
        ..RunSummary::new(
            &scenario.name,
            scenario.seed,
            env!("CARGO_PKG_VERSION"),
            started_at,
            planned,
        )
    }
}

/// Shows the summary: with `json`, `run.json` on standard output and the text on standard error; else the text on standard
/// output. A closed pipe is ignored, because the verdict stands.
pub(super) fn show(summary: &RunSummary, dir: &RunDir, json: bool, quiet: bool) {
    let folder = dir.path().display().to_string();
    if !json {
        let text = summary::render(summary, &folder, output::stdout_style());
        return output::print(&format!("{text}\n"));
    }
    output::print_json(summary);
    if !quiet {
        output::note(&summary::render(summary, &folder, output::stderr_style()));
    }
}
