//! Finds the fewest faults that still break a run: repeats it with fewer and fewer faults. [`chaos::Shrink`] chooses the
//! faults of each attempt; this file runs and judges them.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use chaos::{Begin, Fault, Shrink};
use results::record::{RunSummary, Verdict};
use tokio_util::sync::CancellationToken;

use super::conduct::{FinishedRun, conduct};
use super::options::RunOptions;
use crate::scenario::Scenario;
use crate::terminal::output::note;

/// The file in the run's folder with the fewest faults.
const SHRUNK: &str = "shrunk.yaml";

/// Finds the fewest faults of a scenario that break what the `first` run broke, and writes them to [`SHRUNK`]. Makes `runs`
/// runs at most.
///
/// # Errors
/// A run that cannot start, or a folder that cannot be written.
pub(crate) async fn shrink(
    scenario: &Scenario,
    options: &RunOptions,
    first: &FinishedRun,
    runs: u32,
    stop: &CancellationToken,
) -> Result<()> {
    let broken = broken(&first.summary);
    let impossible = match first.summary.verdict {
        Verdict::Pass => Some("every expectation held"),
        Verdict::Invalid => {
            Some("the run is invalid, so nothing follows from it; see its reasons first")
        }
        Verdict::Fail if scenario.faults.is_empty() => Some("the scenario has no faults"),
        Verdict::Fail => None,
    };
    if let Some(reason) = impossible {
        note(&format!("Nothing to shrink: {reason}."));
        return Ok(());
    }
    let mut attempts = Attempts {
        scenario,
        options: RunOptions {
            quiet: true,
            json: false,
            ..options.clone()
        },
        broken,
        stop,
        made: 0,
        limit: runs,
    };
    // The shop may break its expectations without any fault.
    match attempts.run(&[]).await? {
        Some(true) => {
            note("It also breaks without any fault: the faults are not the cause.");
            return Ok(());
        }
        Some(false) => {}
        None => return Ok(()),
    }
    let mut search = Shrink::new(scenario.faults.len());
    // Written now and after each step, in case the search ends early.
    write(scenario, first, search.fewest())?;
    while let Some(part) = search.next(|part| self_contained(&scenario.faults, part)) {
        let Some(broke) = attempts.run(&part).await? else {
            break;
        };
        search.answer(broke);
        if broke {
            write(scenario, first, search.fewest())?;
        }
    }
    show(scenario, first, search.fewest());
    Ok(())
}

/// The runs of a search.
struct Attempts<'a> {
    scenario: &'a Scenario,
    options: RunOptions,
    broken: BTreeSet<String>,
    stop: &'a CancellationToken,
    made: u32,
    limit: u32,
}

impl Attempts<'_> {
    /// Whether a run with these faults only breaks, too. `None` if no further run is allowed.
    async fn run(&mut self, kept: &[usize]) -> Result<Option<bool>> {
        if self.made >= self.limit || self.stop.is_cancelled() {
            return Ok(None);
        }
        self.made += 1;
        let mut scenario = with_only(self.scenario, kept)?;
        if kept.is_empty() {
            // Without faults, expectations of faults cannot hold.
            scenario.expect.retain(|e| !e.needs_faults());
        }
        let done = conduct(&scenario, &scenario.name, &self.options, self.stop).await;
        if self.stop.is_cancelled() {
            return Ok(None);
        }
        let summary = done?.summary;
        let still: Vec<String> = broken(&summary)
            .intersection(&self.broken)
            .cloned()
            .collect();
        let broke = summary.verdict == Verdict::Fail && !still.is_empty();
        let how = match summary.verdict {
            Verdict::Invalid => format!(
                "cannot be judged: {}",
                summary.reasons.first().map_or("", String::as_str)
            ),
            _ if broke => format!("still breaks: {}", still.join(", ")),
            _ => "holds".to_owned(),
        };
        note(&format!(
            "shrink {} of {}: {} of {} faults: {how}",
            self.made,
            self.limit,
            kept.len(),
            self.scenario.faults.len()
        ));
        Ok(Some(broke))
    }
}

/// The expectations that a run broke, as text that is the same in every run.
fn broken(summary: &RunSummary) -> BTreeSet<String> {
    let missed = summary
        .expectations
        .iter()
        .filter(|row| !row.held)
        .map(|row| row.text.clone());
    let dead = summary
        .steps
        .iter()
        .filter(|row| row.requests > 0 && row.ok == 0)
        .map(|row| format!("{} in {} never succeeds", row.step, row.phase));
    let mut broken: BTreeSet<String> = missed.chain(dead).collect();
    if summary.aborted.is_some() {
        broken.insert("the experiment is stopped".to_owned());
    }
    if !summary.crashes.is_empty() {
        broken.insert("a service dies by itself".to_owned());
    }
    if !summary.audit.is_clean() {
        broken.insert("the audit finds contradictions".to_owned());
    }
    broken
}

/// Removes faults that wait for a fault outside the part: they would never start.
fn self_contained(faults: &[Fault], part: &[usize]) -> Vec<usize> {
    let mut part = part.to_vec();
    loop {
        let names: BTreeSet<&str> = part.iter().map(|i| faults[*i].name.as_str()).collect();
        let can_start = |i: &usize| match &faults[*i].begins {
            Begin::After { fault, .. } => names.contains(fault.as_str()),
            Begin::At(_) | Begin::When { .. } => true,
        };
        let startable: Vec<usize> = part.iter().copied().filter(can_start).collect();
        if startable.len() == part.len() {
            return part;
        }
        part = startable;
    }
}

/// The scenario with only these faults.
fn with_only(scenario: &Scenario, kept: &[usize]) -> Result<Scenario> {
    let faults: Vec<Fault> = kept.iter().map(|i| scenario.faults[*i].clone()).collect();
    scenario.with_faults(&faults).context(
        "fewer faults cannot be written into this scenario; give each of its keys, such as `faults:`, a line of its own",
    )
}

fn write(scenario: &Scenario, first: &FinishedRun, kept: &[usize]) -> Result<()> {
    let fewest = with_only(scenario, kept)?;
    let text = format!(
        "# Enough to break what this scenario expects: {} of its {} faults.\n{}",
        kept.len(),
        scenario.faults.len(),
        fewest.text
    );
    first.dir.write_text(SHRUNK, &text)?;
    Ok(())
}

/// Shows the result on standard error. Standard output has the result of the first run.
fn show(scenario: &Scenario, first: &FinishedRun, kept: &[usize]) {
    note(&format!(
        "The fewest faults found that still break it, {} of {}:",
        kept.len(),
        scenario.faults.len()
    ));
    for i in kept {
        note(&format!(
            "  {}",
            chaos::spec::write_fault(&scenario.faults[*i])
        ));
    }
    let file = first.dir.path().join(SHRUNK);
    note(&format!("To repeat it: doorbuster run {}", file.display()));
}
