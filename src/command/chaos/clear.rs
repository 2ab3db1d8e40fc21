//! `doorbuster chaos clear`: ends faults at every replica.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anyhow::Result;
use chaos::{AdminClient, InjectError};
use http::StatusCode;
use shop_contract::faults::FaultState;

use super::replicas::call_each;
use super::targets::AdminTargets;
use crate::command::attach::AttachArgs;
use crate::runtime;
use crate::terminal::output;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 no fault is left, 1 a service that is up did not answer. A service that is down holds no faults.

Examples:
  doorbuster chaos clear                 all of them
  doorbuster chaos clear bank-slow       one of them")]
pub(super) struct ClearArgs {
    /// The fault's name. By default all faults
    name: Option<String>,
    #[command(flatten)]
    attach: AttachArgs,
}

/// Ends faults at every replica. Gives the exit code.
///
/// # Errors
/// The shop is not known.
pub(super) fn clear(args: &ClearArgs) -> Result<u8> {
    let targets = AdminTargets::of(&args.attach.find()?)?;
    let replies = runtime::runtime()?.block_on(async {
        let client = targets.client();
        call_each(targets.all(), move |address| {
            clear_at(client.clone(), address, args.name.clone())
        })
        .await
    });
    let mut text = String::new();
    for (replica, states) in &replies.answers {
        for state in states {
            text += &format!("ended {} at {replica}, {} hits\n", state.name, state.hits);
        }
    }
    if text.is_empty() {
        text = match &args.name {
            Some(name) => format!("no fault {name} was in force\n"),
            None => "no fault was in force\n".to_owned(),
        };
    }
    output::print(&text);
    Ok(u8::from(replies.any_failed))
}

/// Ends one fault or all at one replica. Gives the faults that were in force.
async fn clear_at(
    client: AdminClient,
    address: SocketAddr,
    name: Option<String>,
) -> Result<Vec<FaultState>, InjectError> {
    let active = client.list(address).await?.active;
    let is_selected = |s: &FaultState| name.as_ref().is_none_or(|n| *n == s.name);
    let selected: BTreeSet<String> = active
        .into_iter()
        .filter(is_selected)
        .map(|s| s.name)
        .collect();
    let mut ended = Vec::new();
    for name in selected {
        match client.clear(address, &name).await {
            Ok(state) => ended.push(state),
            // It ended by itself in the meantime.
            Err(InjectError::Refused { status, .. }) if status == StatusCode::NOT_FOUND => {}
            Err(e) => return Err(e),
        }
    }
    if name.is_none() {
        // Faults that were injected in the meantime.
        client.clear_all(address).await?;
    }
    Ok(ended)
}
