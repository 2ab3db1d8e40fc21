//! Runs a scenario with every resilience pattern, and again without each one, to measure the benefit of each. The comparison
//! is in [`results::ablation`].

use anyhow::Result;
use clap::ValueEnum;
use results::ablation::{Ablation, Arm};
use results::expect;
use results::record::Verdict;
use results::summary::ablation::render;
use tokio_util::sync::CancellationToken;

use super::conduct::{FinishedRun, conduct};
use super::options::RunOptions;
use crate::patterns::Pattern;
use crate::scenario::Scenario;
use crate::terminal::output;

/// The file in the folder of the first run, which has all patterns.
const FILE: &str = "ablation.json";

/// The patterns to leave out, one per run: the requested ones; by default those that the scenario relies on; else all.
/// Patterns that the scenario switches off are skipped.
fn patterns(scenario: &Scenario, requested: &[Pattern]) -> Vec<Pattern> {
    let chosen = match (requested, scenario.relies_on.as_slice()) {
        ([], []) => Pattern::value_variants(),
        ([], relies_on) => relies_on,
        (requested, _) => requested,
    };
    let is_on = |pattern: &Pattern| !scenario.shop.without.contains(pattern);
    chosen.iter().copied().filter(is_on).collect()
}

/// Runs the scenario with all patterns and without each, shows the comparison, and gives the exit code.
///
/// # Errors
/// Those of a run.
pub(crate) async fn ablate(
    scenario: &Scenario,
    requested: &[Pattern],
    options: &RunOptions,
    stop: &CancellationToken,
) -> Result<u8> {
    let patterns = patterns(scenario, requested);
    let runs = patterns.len() + 1;
    let mut ablation = Ablation {
        scenario: scenario.name.clone(),
        seed: scenario.seed,
        relies_on: scenario
            .relies_on
            .iter()
            .map(|p| p.name().to_owned())
            .collect(),
        arms: Vec::new(),
    };
    let mut first = None;
    let mut interrupted = false;
    let arms = std::iter::once(None).chain(patterns.into_iter().map(Some));
    for (i, without) in arms.enumerate() {
        let what = without.map_or("all patterns on".to_owned(), |p| {
            format!("without {}", p.name())
        });
        if !options.quiet {
            eprintln!("Run {} of {runs}: {what}", i + 1);
        }
        let arm = match without {
            Some(pattern) => scenario.without(&[pattern]),
            None => scenario.clone(),
        };
        let name = without.map_or(scenario.name.clone(), |p| {
            format!("{}-without-{}", scenario.name, p.name())
        });
        let FinishedRun { summary, dir } = conduct(&arm, &name, options, stop).await?;
        let record = dir.path().display().to_string();
        if summary.interrupted {
            // An interrupted run proves nothing about its pattern. The runs before it count.
            interrupted = true;
            break;
        }
        ablation
            .arms
            .push(Arm::of(without.map(Pattern::name), &summary, &record));
        let first = first.get_or_insert(dir);
        // Written after each run, in case of an interruption.
        first.write_json(FILE, &ablation)?;
    }
    if options.json {
        output::print_json(&ablation);
    } else {
        output::print(&format!("{}\n", render(&ablation, output::stdout_style())));
        if let Some(first) = &first {
            let file = first.path().join(FILE);
            output::print(&format!("  Kept in {}\n", file.display()));
        }
    }
    let verdict = match interrupted {
        true => Verdict::Invalid,
        false => ablation.verdict(),
    };
    Ok(expect::exit_code(verdict, interrupted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{DEMO, DEMO_PATH};

    #[test]
    fn requested_patterns_take_precedence_over_those_relied_on() {
        let plain = Scenario::parse(DEMO_PATH, DEMO, None).unwrap();
        assert_eq!(patterns(&plain, &[]).len(), Pattern::value_variants().len());
        let relying = format!("relies_on: [breakers]\n{DEMO}");
        let relying = Scenario::parse(DEMO_PATH, &relying, None).unwrap();
        assert_eq!(patterns(&relying, &[]), [Pattern::Breakers]);
        assert_eq!(patterns(&relying, &[Pattern::Caches]), [Pattern::Caches]);
        // A pattern that is off already is skipped.
        let off = relying.without(&[Pattern::Caches]);
        assert_eq!(patterns(&off, &[Pattern::Caches]), []);
    }
}
