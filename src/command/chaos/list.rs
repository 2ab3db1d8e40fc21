//! `doorbuster chaos list`: the faults in force at every replica.

use std::fmt::Write;

use anyhow::Result;
use shop_contract::faults::FaultState;

use super::replicas::call_each;
use super::targets::AdminTargets;
use crate::command::attach::AttachArgs;
use crate::runtime;
use crate::terminal::output;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example: doorbuster chaos list")]
pub(super) struct ListArgs {
    #[command(flatten)]
    attach: AttachArgs,
}

/// Shows the faults in force. Gives the exit code.
///
/// # Errors
/// The shop is not known.
pub(super) fn list(args: &ListArgs) -> Result<u8> {
    let targets = AdminTargets::of(&args.attach.find()?)?;
    let replies = runtime::runtime()?.block_on(async {
        let client = targets.client();
        call_each(targets.all(), move |address| {
            let client = client.clone();
            async move { client.list(address).await }
        })
        .await
    });
    let mut rows = Vec::new();
    for (replica, states) in replies.answers {
        rows.extend(states.active.into_iter().map(|s| (replica.clone(), s)));
    }
    output::print(&table(&rows));
    Ok(u8::from(replies.any_failed))
}

fn table(rows: &[(String, FaultState)]) -> String {
    if rows.is_empty() {
        return "no fault is in force\n".to_owned();
    }
    let width = |min: usize, of: fn(&(String, FaultState)) -> usize| {
        rows.iter().map(of).max().unwrap_or(0).max(min)
    };
    let (name, kind) = (width(5, |r| r.1.name.len()), width(4, |r| r.1.kind.len()));
    let at = width(7, |r| r.0.len());
    let mut text = format!(
        "{:name$}  {:kind$}  {:at$}  {:>8}  {:>9}\n",
        "fault", "kind", "replica", "hits", "ends in"
    );
    for (replica, state) in rows {
        let left = state.remaining_ms as f64 / 1e3;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:name$}  {:kind$}  {replica:at$}  {:>8}  {left:>7.1} s",
            state.name, state.kind, state.hits
        );
    }
    text
}
