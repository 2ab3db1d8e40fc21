//! `doorbuster audit`: checks the data of a shop that is up for contradictions.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use results::record::{AuditRow, LedgerEntry};
use results::run_dir::read_lines;

use super::attach::{AttachArgs, AttachedShop};
use crate::audit::{AUDITED_ROLES, AuditClient, AuditOutcome, Incomplete, settle_and_check};
use crate::http::HttpClient;
use crate::runtime;
use crate::terminal::output;

/// Exit code: the services contradict each other, or the shoppers' ledger.
const VIOLATED: u8 = 2;
/// Exit code: orders, events or mail were still in progress.
const INCONCLUSIVE: u8 = 3;

#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 no contradiction, 1 the shop did not answer, 2 contradictions, 3 orders, events or mail were still in progress.

Examples:
  doorbuster audit --topology runs/2026-11-21T165742Z-up/topology.json
  doorbuster audit --docker
  doorbuster audit --admin order=127.0.0.1:9101 --admin payment=127.0.0.1:9102 --admin bank=127.0.0.1:9103 \\
    --admin inventory=127.0.0.1:9104 --admin notification=127.0.0.1:9105 --ledger ledger.jsonl --json")]
pub(super) struct AuditArgs {
    #[command(flatten)]
    attach: AttachArgs,
    /// The promises to the shoppers: the ledger.jsonl of a load. Without it, the services are compared with each other only
    #[arg(long)]
    ledger: Option<PathBuf>,
    /// The time limit for orders, events and mail in progress
    #[arg(long, value_parser = duration, default_value = "40s")]
    wait: Duration,
    /// Print the audit as JSON, as in run.json
    #[arg(long)]
    json: bool,
}

/// Audits a shop. Gives the exit code.
///
/// # Errors
/// A file cannot be read, or a service is not known or does not answer.
pub(super) fn audit(args: &AuditArgs) -> Result<u8> {
    let shop = args.attach.find()?;
    check_complete(&shop)?;
    let ledger: Vec<LedgerEntry> = match &args.ledger {
        Some(path) => read_lines(path)?,
        None => Vec::new(),
    };
    let outcome = runtime::runtime()?.block_on(async {
        let http = HttpClient::new().with_token(shop.token);
        let admins = shop.admins.into_iter();
        let running = admins.map(|(role, admins)| (role, admins.into_iter().flatten().collect()));
        let client = AuditClient::new(http, running.collect());
        // Services that are down now are not waited for, because nothing restarts them.
        client.moving().await.context(
            "the shop cannot be audited; check that it is up, and the addresses of --topology or --admin, and --token",
        )?;
        anyhow::Ok(settle_and_check(&client, &ledger, args.wait).await)
    })?;
    if let Some(Incomplete::NoAnswer(why)) = &outcome.incomplete {
        bail!("{why}");
    }
    if args.json {
        output::print_json(&outcome.row);
    } else {
        output::print(&text_of(&outcome, args.ledger.is_some()));
    }
    Ok(code(&outcome))
}

/// Work in progress outranks contradictions, because it may still resolve them.
fn code(outcome: &AuditOutcome) -> u8 {
    match (&outcome.incomplete, outcome.row.is_clean()) {
        (Some(_), _) => INCONCLUSIVE,
        (None, false) => VIOLATED,
        (None, true) => 0,
    }
}

fn text_of(outcome: &AuditOutcome, with_ledger: bool) -> String {
    let AuditRow {
        orders_promised,
        orders_found,
        orders_unknown,
        unknown_came_true,
        unknown_did_not,
        captured_minor,
        refunded_minor,
        confirmed_minor,
        ref violations,
        ..
    } = outcome.row;
    let mut text = String::new();
    if let Some(Incomplete::Moving(what)) = &outcome.incomplete {
        text += &format!("? {what}; the audit is inconclusive. Allow more time with --wait\n");
    }
    for violation in violations {
        text += &format!("✗ {violation}\n");
    }
    if violations.is_empty() && outcome.incomplete.is_none() {
        text += "✓ no contradiction\n";
    }
    if with_ledger {
        text += &format!("  orders   {orders_promised} promised, {orders_found} found\n");
        if orders_unknown > 0 {
            text += &format!(
                "           {orders_unknown} with an outcome unknown to the shopper: {unknown_came_true} confirmed, {unknown_did_not} not\n"
            );
        }
    } else {
        text += "  orders   no ledger was given: the services are compared with each other only\n";
    }
    text += &format!(
        "  money    {captured_minor} captured, {refunded_minor} refunded, {confirmed_minor} due for confirmed orders (minor units)\n"
    );
    text
}

/// Checks that every audited role has an admin listener.
fn check_complete(shop: &AttachedShop) -> Result<()> {
    for role in AUDITED_ROLES {
        if !shop.admins.contains_key(&role) {
            bail!(
                "the address of {role} is not known; add --admin {role}=host:port, or name the shop's topology.json with --topology"
            );
        }
    }
    Ok(())
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = syntax::units::parse_duration(text);
    parsed.ok_or_else(|| "expected a length of time such as 40s or 2m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::SETTLE;

    fn outcome(violations: &[&str], incomplete: Option<Incomplete>) -> AuditOutcome {
        AuditOutcome {
            row: AuditRow {
                complete: incomplete.is_none(),
                violations: violations.iter().map(|v| (*v).to_owned()).collect(),
                ..AuditRow::default()
            },
            incomplete,
        }
    }

    #[test]
    fn work_in_progress_outranks_a_contradiction() {
        let moving = || Some(Incomplete::Moving("2 orders".to_owned()));
        for (violations, incomplete, expected) in [
            (&[][..], None, 0),
            (&["x"][..], None, VIOLATED),
            (&[][..], moving(), INCONCLUSIVE),
            (&["x"][..], moving(), INCONCLUSIVE),
        ] {
            let outcome = outcome(violations, incomplete);
            assert_eq!(code(&outcome), expected);
            let text = text_of(&outcome, false);
            assert_eq!(text.contains("✗ x"), !violations.is_empty(), "{text}");
            assert_eq!(text.contains("no contradiction"), expected == 0, "{text}");
        }
    }

    #[test]
    fn the_wait_is_the_one_after_a_run() {
        assert_eq!(duration("40s"), Ok(SETTLE));
        assert!(duration("40").is_err());
    }
}
