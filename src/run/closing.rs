//! The plan, the summary and the verdict of a load, for every kind of run.

use anyhow::Result;
use jiff::Timestamp;
use loadgen::Outcome;
use loadgen::plan::Plan;
use results::expect::{self, Evidence, Expectation};
use results::record::{self, AuditRow, RunSummary, SCHEMA, Verdict};
use results::run_dir::{PLAN, RunDir};
use results::summary;

use crate::scenario::Scenario;
use crate::terminal::output;

/// The number of planned sessions per write, so that a large plan is never in memory as a whole.
const PLAN_LINES: usize = 1000;

/// Writes `plan.jsonl` and gives its digest.
pub(super) fn write_plan(dir: &RunDir, plan: &Plan, faults: &[String]) -> Result<record::Plan> {
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
    planned: record::Plan,
    outcome: Outcome,
) -> RunSummary {
    RunSummary {
        schema: SCHEMA.to_owned(),
        scenario: scenario.name.clone(),
        seed: scenario.seed,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: started_at.to_string(),
        duration_s: outcome.phases.last().map_or(0.0, |p| p.to_s),
        interrupted: outcome.interrupted,
        aborted: None,
        verdict: Verdict::Invalid,
        reasons: Vec::new(),
        plan: planned,
        generator: outcome.generator,
        phases: outcome.phases,
        steps: outcome.steps,
        faults: Vec::new(),
        metastability: None,
        crashes: Vec::new(),
        expectations: Vec::new(),
        audit: AuditRow::default(),
        resources: Vec::new(),
    }
}

/// Judges the record, and nothing else.
pub(super) fn conclude(expected: &[Expectation], summary: &mut RunSummary, doubts: Vec<String>) {
    let judged = expect::judge(expected, &Evidence::of(summary));
    let (mut verdict, mut reasons) = expect::verdict(expected, &judged, &Evidence::of(summary));
    if let Some(why) = &summary.aborted {
        // What the faults did not come to any more voids nothing; a generator that is not to be trusted does.
        if summary.generator.valid && !summary.interrupted {
            verdict = Verdict::Fail;
        }
        reasons.insert(0, format!("aborted: {why}"));
    }
    if !doubts.is_empty() {
        verdict = Verdict::Invalid;
    }
    // What the instruments say against themselves, in their own words, stands first.
    for doubt in doubts.into_iter().rev() {
        if !reasons.contains(&doubt) {
            reasons.insert(0, doubt);
        }
    }
    summary.expectations = judged;
    summary.verdict = verdict;
    summary.reasons = reasons;
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
