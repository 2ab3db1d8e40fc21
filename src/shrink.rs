//! `doorbuster run --shrink`: a run that broke an expectation is repeated with fewer and fewer faults. Which of them to
//! leave out next is decided by [`chaos::Shrink`]; here the runs are made and judged.

use std::collections::BTreeSet;
use std::io::Write;

use anyhow::{Context, Result};
use chaos::{Begin, Fault, Shrink};
use results::record::{RunSummary, Verdict};
use tokio_util::sync::CancellationToken;

use crate::cli::RunOptions;
use crate::run::{self, Conducted};
use crate::scenario::Scenario;

/// The file in the run's folder that holds the fewest faults.
const SHRUNK: &str = "shrunk.yaml";

/// Looks for the fewest faults of a scenario that still break what its run has broken, and writes them down.
///
/// # Errors
/// A run that cannot be made, a folder that cannot be written.
pub(crate) async fn shrink(
    scenario: &Scenario,
    options: &RunOptions,
    first: &Conducted,
    runs: u32,
    stop: &CancellationToken,
) -> Result<()> {
    let broken = broken(&first.summary);
    let reason = match first.summary.verdict {
        Verdict::Pass => Some("every expectation held"),
        Verdict::Invalid => {
            Some("the run is invalid, so nothing follows from it; see its reasons first")
        }
        Verdict::Fail if scenario.faults.is_empty() => Some("the scenario has no faults"),
        Verdict::Fail => None,
    };
    if let Some(reason) = reason {
        say(&format!("Nothing to shrink: {reason}."));
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
        most: runs,
    };
    // The shop alone may be too slow for what is expected of it.
    match attempts.make(&[]).await? {
        Some(true) => {
            say("It breaks without any fault as well: the faults are not to blame.");
            return Ok(());
        }
        Some(false) => {}
        None => return Ok(()),
    }
    let mut search = Shrink::new(scenario.faults.len());
    // At once and after each step, so that whatever ends the search leaves what is known.
    write(scenario, first, search.fewest())?;
    while let Some(part) = search.next(|part| whole(&scenario.faults, part)) {
        let Some(broke) = attempts.make(&part).await? else {
            break;
        };
        search.answer(broke);
        if broke {
            write(scenario, first, search.fewest())?;
        }
    }
    tell(scenario, first, search.fewest());
    Ok(())
}

/// The runs of a search.
struct Attempts<'a> {
    scenario: &'a Scenario,
    options: RunOptions,
    broken: BTreeSet<String>,
    stop: &'a CancellationToken,
    made: u32,
    most: u32,
}

impl Attempts<'_> {
    /// Whether some of the faults alone break it as well. `None` when no further run may be made.
    async fn make(&mut self, kept: &[usize]) -> Result<Option<bool>> {
        if self.made >= self.most || self.stop.is_cancelled() {
            return Ok(None);
        }
        self.made += 1;
        let mut scenario = some_of(self.scenario, kept)?;
        if kept.is_empty() {
            // Without faults, what is expected of them cannot hold, and says nothing.
            scenario.expect.retain(|e| !e.needs_faults());
        }
        let done = run::conduct(&scenario, &scenario.name, &self.options, self.stop).await;
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
        say(&format!(
            "shrink {} of {}: {} of {} faults: {how}",
            self.made,
            self.most,
            kept.len(),
            self.scenario.faults.len()
        ));
        Ok(Some(broke))
    }
}

/// What a run broke, in words that are the same in every run.
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

/// Those of some faults that can be without the others: what waits for a fault that is left out never comes.
fn whole(faults: &[Fault], part: &[usize]) -> Vec<usize> {
    let mut part = part.to_vec();
    loop {
        let names: BTreeSet<&str> = part.iter().map(|i| faults[*i].name.as_str()).collect();
        let stands = |i: &usize| match &faults[*i].begins {
            Begin::After { fault, .. } => names.contains(fault.as_str()),
            Begin::At(_) | Begin::When { .. } => true,
        };
        let standing: Vec<usize> = part.iter().copied().filter(stands).collect();
        if standing.len() == part.len() {
            return part;
        }
        part = standing;
    }
}

fn some_of(scenario: &Scenario, kept: &[usize]) -> Result<Scenario> {
    let faults: Vec<Fault> = kept.iter().map(|i| scenario.faults[*i].clone()).collect();
    scenario.with_faults(&faults).context(
        "fewer faults cannot be written into this scenario; give each of its keys, such as `faults:`, a line of its own",
    )
}

fn write(scenario: &Scenario, first: &Conducted, kept: &[usize]) -> Result<()> {
    let fewest = some_of(scenario, kept)?;
    let text = format!(
        "# Enough to break what this scenario expects: {} of its {} faults.\n{}",
        kept.len(),
        scenario.faults.len(),
        fewest.text
    );
    first.dir.write_text(SHRUNK, &text)?;
    Ok(())
}

/// What came out, on standard error, for standard output belongs to the run itself.
fn tell(scenario: &Scenario, first: &Conducted, kept: &[usize]) {
    say(&format!(
        "The fewest faults found that still break it, {} of {}:",
        kept.len(),
        scenario.faults.len()
    ));
    for i in kept {
        say(&format!("  {}", chaos::spec::written(&scenario.faults[*i])));
    }
    let file = first.dir.path().join(SHRUNK);
    say(&format!(
        "To see it again: doorbuster run {}",
        file.display()
    ));
}

/// A line on standard error. Whoever has closed it does not want to know.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
