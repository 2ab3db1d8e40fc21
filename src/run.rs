//! A run: opens the shop, sends the load, injects faults on schedule, audits, judges, and writes the record.
//!
//! | file | subject |
//! |---|---|
//! | `conduct` | one run from start to end |
//! | `experiment` | its steps while the shop is open: load, faults, audit |
//! | `remote` | the load alone, against a shop that is up |
//! | `load` | sends a plan and records the outcome, for both |
//! | `closing` | plan, summary and verdict |
//! | `recorder` | writes the files that grow during a run |
//! | `sampler` | counts the calls between services each second |
//! | `shoppers` | counts the hits of faults on gateways |
//! | `ablate` | runs a scenario with and without each resilience pattern |
//! | `shrink` | finds the fewest faults that break a run |

pub(crate) mod ablate;
mod closing;
pub(crate) mod conduct;
mod experiment;
mod load;
pub(crate) mod options;
mod recorder;
pub(crate) mod remote;
mod sampler;
mod shoppers;
pub(crate) mod shrink;

use anyhow::Result;
use results::expect;
use tokio_util::sync::CancellationToken;

use crate::scenario::Scenario;
use options::RunOptions;

/// Runs a scenario once and shows its summary. With `shrink`, a run that fails is repeated with fewer faults, this many
/// times at most. Gives the exit code.
///
/// # Errors
/// A folder cannot be written, a port is taken, or a service does not start.
pub(crate) async fn once(
    scenario: &Scenario,
    options: &RunOptions,
    shrink: Option<u32>,
    stop: &CancellationToken,
) -> Result<u8> {
    let finished = conduct::conduct(scenario, &scenario.name, options, stop).await?;
    closing::show(
        &finished.summary,
        &finished.dir,
        options.json,
        options.quiet,
    );
    if let Some(runs) = shrink {
        // The first run's result stands, whatever happens to the repetitions.
        if let Err(e) = shrink::shrink(scenario, options, &finished, runs, stop).await {
            eprintln!("doorbuster: --shrink could not continue: {e:#}");
        }
    }
    Ok(expect::exit_code(
        finished.summary.verdict,
        finished.summary.interrupted,
    ))
}
