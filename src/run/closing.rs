//! What a load leaves behind, whoever opened the shop: its plan, its summary with the verdict, and what is shown of it.

use std::io::Write;

use anyhow::Result;
use jiff::Timestamp;
use loadgen::Outcome;
use loadgen::plan::Plan;
use results::expect::{self, Expectation};
use results::record::{self, RunSummary};
use results::run_dir::{PLAN, RunDir};
use results::summary::{self, Style};

use crate::scenario::Scenario;

/// Planned sessions that are written at once, so that a crowd of a million does not stand in memory.
const PLAN_LINES: usize = 1000;

/// Writes down what is planned; gives its digest.
pub(crate) fn write_plan(
    dir: &RunDir,
    plan: &Plan,
    faults: &[String],
) -> Result<record::PlanDigest> {
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

/// Judges the record, and nothing else.
pub(crate) fn conclude(expected: &[Expectation], summary: &mut RunSummary, doubts: Vec<String>) {
    expect::conclude(expected, summary, &doubts);
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
