//! `doorbuster run --ablate`: the scenario with every resilience pattern, and again without each, to see what it is
//! worth. What the runs come to is decided in [`results::ablation`].

use std::io::Write;

use anyhow::Result;
use results::ablation::{Ablation, Arm};
use results::expect;
use results::record::Verdict;
use results::summary::ablation::render;
use tokio_util::sync::CancellationToken;

use crate::cli::RunOptions;
use crate::run::closing::stdout_style;
use crate::run::{Conducted, conduct};
use crate::scenario::Scenario;

/// In the folder of the first run, the one with all patterns.
const FILE: &str = "ablation.json";

/// The patterns to do without, one after the other: those that were asked for; else those that the scenario relies on;
/// else all that it has on.
fn patterns(scenario: &Scenario, asked: &[&'static str]) -> Vec<&'static str> {
    let on = |name: &&str| scenario.shop.resilience.get(name) == Some(&true);
    let chosen: Vec<&'static str> = match (asked, scenario.relies_on.as_slice()) {
        ([], []) => scenario.shop.resilience.keys().copied().collect(),
        ([], relies_on) => relies_on.to_vec(),
        (asked, _) => asked.to_vec(),
    };
    chosen.into_iter().filter(on).collect()
}

/// Runs them all; gives the exit code.
///
/// # Errors
/// Those of a run.
pub(crate) async fn ablate(
    scenario: &Scenario,
    asked: &[&'static str],
    options: &RunOptions,
    stop: &CancellationToken,
) -> Result<u8> {
    let patterns = patterns(scenario, asked);
    let runs = patterns.len() + 1;
    let mut ablation = Ablation {
        scenario: scenario.name.clone(),
        seed: scenario.seed,
        relies_on: scenario.relies_on.iter().map(|&p| p.to_owned()).collect(),
        arms: Vec::new(),
    };
    let mut first = None;
    let mut interrupted = false;
    let arms = std::iter::once(None).chain(patterns.into_iter().map(Some));
    for (i, without) in arms.enumerate() {
        let what = without.map_or("all patterns on".to_owned(), |p| format!("without {p}"));
        if !options.quiet {
            eprintln!("Run {} of {runs}: {what}", i + 1);
        }
        let arm = match without {
            Some(pattern) => scenario.without(&[pattern]),
            None => scenario.clone(),
        };
        let name = without.map_or(scenario.name.clone(), |p| {
            format!("{}-without-{p}", scenario.name)
        });
        let Conducted { summary, dir } = conduct(&arm, &name, options, stop).await?;
        let record = dir.path().display().to_string();
        if summary.interrupted {
            // Half a run says nothing of a pattern. Those before it stand.
            interrupted = true;
            break;
        }
        ablation.arms.push(Arm::of(without, &summary, &record));
        let first = first.get_or_insert(dir);
        // After each run, so that an interruption takes nothing away.
        first.write_json(FILE, &ablation)?;
    }
    let mut out = std::io::stdout().lock();
    if options.json {
        serde_json::to_writer_pretty(&mut out, &ablation)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{}", render(&ablation, stdout_style()))?;
        if let Some(first) = &first {
            writeln!(out, "  Kept in {}", first.path().join(FILE).display())?;
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
    fn what_is_asked_for_goes_before_what_the_scenario_relies_on() {
        let plain = Scenario::parse(DEMO_PATH, DEMO, None).unwrap();
        assert_eq!(patterns(&plain, &[]).len(), plain.shop.resilience.len());
        let relying = format!("relies_on: [breakers]\n{DEMO}");
        let relying = Scenario::parse(DEMO_PATH, &relying, None).unwrap();
        assert_eq!(patterns(&relying, &[]), ["breakers"]);
        assert_eq!(patterns(&relying, &["caches"]), ["caches"]);
        // What is off already cannot be taken away.
        assert_eq!(
            patterns(&relying.without(&["caches"]), &["caches"]),
            [""; 0]
        );
    }
}
