//! What a load leaves behind, whoever opened the shop: its plan, its summary with the verdict, and what is shown of it.

use std::io::Write;

use anyhow::Result;
use jiff::Timestamp;
use loadgen::Outcome;
use loadgen::plan::Plan;
use results::expect::{self, Evidence, Expectation};
use results::record::{self, AuditRow, RunSummary, SCHEMA, Verdict};
use results::run_dir::{PLAN, RunDir};
use results::summary::{self, Style};

use crate::scenario::Scenario;

/// Planned sessions that are written at once, so that a crowd of a million does not stand in memory.
const PLAN_LINES: usize = 1000;

/// Writes down what is planned; gives its digest.
pub(crate) fn write_plan(dir: &RunDir, plan: &Plan, faults: &[String]) -> Result<record::PlanDigest> {
    let mut planned = dir.lines(PLAN)?;
    let mut sessions = plan.lines().peekable();
    while sessions.peek().is_some() {
        let some: Vec<_> = sessions.by_ref().take(PLAN_LINES).collect();
        planned.append_all(&some)?;
    }
    drop(sessions);
    Ok(plan.digest(faults))
}

/// The summary of what a load came to, not judged yet. What only the owner of the shop knows is not in it.
pub(crate) fn summary(
    scenario: &Scenario,
    started_at: Timestamp,
    planned: record::PlanDigest,
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
pub(crate) fn conclude(expected: &[Expectation], summary: &mut RunSummary, doubts: Vec<String>) {
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

/// Shows the summary: as `run.json` on standard output where that was asked for, else in words.
///
/// # Errors
/// Whoever reads has gone.
pub(crate) fn show(summary: &RunSummary, dir: &RunDir, json: bool, quiet: bool) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let shown = dir.path().display().to_string();
    if json {
        serde_json::to_writer_pretty(&mut out, summary)?;
        writeln!(out)?;
        if !quiet {
            let style = Style {
                colour: in_colour(&std::io::stderr()),
                width: terminal_width(),
            };
            writeln!(
                std::io::stderr(),
                "{}",
                summary::render(summary, &shown, style)
            )?;
        }
    } else {
        writeln!(out, "{}", summary::render(summary, &shown, stdout_style()))?;
    }
    Ok(())
}

/// How standard output is to be written to.
pub(crate) fn stdout_style() -> Style {
    Style {
        colour: in_colour(&std::io::stdout()),
        width: terminal_width(),
    }
}

fn in_colour(out: &impl std::io::IsTerminal) -> bool {
    out.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// The width of the terminal; a hundred where there is none.
fn terminal_width() -> usize {
    let (_, columns) = console::Term::stdout().size_checked().unwrap_or((0, 100));
    usize::from(columns).clamp(60, 140)
}
