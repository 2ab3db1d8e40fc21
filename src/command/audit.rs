//! `doorbuster audit`: what the services of a shop that is up hold, checked for contradictions.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use results::record::{AuditRow, LedgerEntry};
use results::run_dir::read_lines;
use shop_contract::Role;

use super::{Audited, Doors, HOLDERS, Trouble, settle_and_check};
use crate::cli::DockerArgs;
use crate::docker;
use crate::house::Placed;
use crate::http::Http;
use crate::run;
use crate::serve::ADMIN_TOKEN;

/// The services contradict each other, or what shoppers were promised.
const VIOLATED: u8 = 2;
/// Things were still moving, so that nothing can be concluded.
const INCONCLUSIVE: u8 = 3;

/// `host:port` of each replica's admin listener.
type Admins = BTreeMap<Role, Vec<String>>;

/// Which shop, and what its shoppers know.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// Where the services are: the topology.json of a shop that is up
    #[arg(long, required_unless_present_any = ["admin", "docker"])]
    pub topology: Option<PathBuf>,
    /// Where one service's admin listener is, as role=host:port; any number of times, before what the topology says
    #[arg(long, value_name = "ROLE=HOST:PORT", value_parser = admin)]
    pub admin: Vec<(Role, String)>,
    #[command(flatten)]
    pub docker: DockerArgs,
    /// What shoppers were promised: the ledger.jsonl of a load. Without it the services are held against each other
    #[arg(long)]
    pub ledger: Option<PathBuf>,
    /// Bearer token of the admin listeners, where they ask for one
    #[arg(long, env = ADMIN_TOKEN, hide_env_values = true)]
    pub token: Option<String>,
    /// How long orders, events and mail that are under way may take to come to their end
    #[arg(long, value_parser = duration, default_value = "40s")]
    pub wait: Duration,
    /// Print the audit as JSON, as it stands in run.json
    #[arg(long)]
    pub json: bool,
}

/// Audits a shop; gives the exit code.
///
/// # Errors
/// A file that cannot be read, a service that is not named or does not answer.
pub(crate) fn audit(args: &AuditArgs) -> Result<u8> {
    let (admins, token) = admins(args)?;
    let ledger: Vec<LedgerEntry> = match &args.ledger {
        Some(path) => read_lines(path)?,
        None => Vec::new(),
    };
    let audited = run::runtime()?.block_on(async {
        let doors = Doors::new(Http::new().with_token(args.token.clone().or(token)), admins);
        // Who cannot be asked now is not waited for: nobody is about to start it again.
        doors.moving().await.context(
            "the shop cannot be audited; see that it is up, that --topology or --admin says where, and that --token is right",
        )?;
        anyhow::Ok(settle_and_check(&doors, &ledger, args.wait).await)
    })?;
    if let Some(Trouble::Unasked(why)) = &audited.trouble {
        bail!("{why}");
    }
    let mut out = std::io::stdout().lock();
    let told = if args.json {
        let json = serde_json::to_string_pretty(&audited.row)?;
        writeln!(out, "{json}")
    } else {
        write!(out, "{}", shown(&audited, args.ledger.is_some()))
    };
    if let Err(e) = told {
        // Whoever closed the pipe has seen enough; the exit code stands.
        tracing::debug!(error = %e, "the audit could not be shown");
    }
    Ok(code(&audited))
}

/// What moves may still mend what it seems to contradict, so that outranks the contradictions.
fn code(audited: &Audited) -> u8 {
    match (&audited.trouble, audited.row.is_clean()) {
        (Some(_), _) => INCONCLUSIVE,
        (None, false) => VIOLATED,
        (None, true) => 0,
    }
}

fn shown(audited: &Audited, with_ledger: bool) -> String {
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
    } = audited.row;
    let mut text = String::new();
    if let Some(Trouble::Moving(what)) = &audited.trouble {
        text += &format!("? {what}; nothing can be concluded yet. Give it longer with --wait\n");
    }
    for violation in violations {
        text += &format!("✗ {violation}\n");
    }
    if violations.is_empty() && audited.trouble.is_none() {
        text += "✓ no contradiction\n";
    }
    if with_ledger {
        text += &format!("  orders   {orders_promised} promised, {orders_found} found\n");
        if orders_unknown > 0 {
            text += &format!(
                "           {orders_unknown} whose outcome no shopper learned: {unknown_came_true} came true, {unknown_did_not} did not\n"
            );
        }
    } else {
        text += "  orders   no ledger was given: the services are held against each other alone\n";
    }
    text += &format!(
        "  money    {captured_minor} taken, {refunded_minor} given back, {confirmed_minor} due for confirmed orders (minor units)\n"
    );
    text
}

/// The doors that were named, and those of the topology or of Docker for roles that were not; and the token that
/// containers are known to ask for.
fn admins(args: &AuditArgs) -> Result<(Admins, Option<String>)> {
    let mut admins: Admins = Admins::new();
    for (role, address) in &args.admin {
        admins.entry(*role).or_default().push(address.clone());
    }
    if let Some(path) = &args.topology {
        for (role, addresses) in of_topology(path)? {
            admins.entry(role).or_insert(addresses);
        }
    }
    let mut token = None;
    if let Some(project) = args.docker.project() {
        let found = run::runtime()?.block_on(docker::admins(project))?;
        token = found.token;
        let mut of_docker: Admins = Admins::new();
        for ((role, _), admin) in found.of {
            let of_role = of_docker.entry(role).or_default();
            of_role.extend(admin.map(|admin| admin.to_string()));
        }
        for (role, addresses) in of_docker {
            admins.entry(role).or_insert(addresses);
        }
    }
    for role in HOLDERS {
        if !admins.contains_key(&role) {
            bail!(
                "where {role} is was not said; add --admin {role}=host:port, or name the shop's topology.json with --topology"
            );
        }
    }
    Ok((admins, token))
}

fn of_topology(path: &Path) -> Result<Admins> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| {
        format!("{shown} cannot be read; `doorbuster up` says where its topology.json is")
    })?;
    let placed: Vec<Placed> = serde_json::from_str(&text)
        .with_context(|| format!("{shown} is not the topology of a shop"))?;
    let mut admins: Admins = Admins::new();
    for process in placed {
        let role = process.role.parse().with_context(|| format!("{shown}"))?;
        let of_role = admins.entry(role).or_default();
        of_role.push(process.admin.to_string());
    }
    Ok(admins)
}

fn admin(text: &str) -> Result<(Role, String), String> {
    let (role, address) = text
        .split_once('=')
        .ok_or("write it as role=host:port, for example order=127.0.0.1:9101")?;
    let role = role.parse::<Role>().map_err(|e| e.to_string())?;
    let authority: http::uri::Authority = address
        .parse()
        .map_err(|e| format!("`{address}` is no address: {e}"))?;
    match authority.port() {
        Some(_) => Ok((role, address.to_owned())),
        None => Err(format!("`{address}` has no port")),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = syntax::units::parse_duration(text);
    parsed.ok_or_else(|| "expected a length of time such as 40s or 2m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::SETTLE;

    fn audited(violations: &[&str], trouble: Option<Trouble>) -> Audited {
        Audited {
            row: AuditRow {
                complete: trouble.is_none(),
                violations: violations.iter().map(|v| (*v).to_owned()).collect(),
                ..AuditRow::default()
            },
            trouble,
        }
    }

    #[test]
    fn what_moves_outranks_a_contradiction_which_it_may_still_mend() {
        let moving = || Some(Trouble::Moving("2 orders".to_owned()));
        for (violations, trouble, expected) in [
            (&[][..], None, 0),
            (&["x"][..], None, VIOLATED),
            (&[][..], moving(), INCONCLUSIVE),
            (&["x"][..], moving(), INCONCLUSIVE),
        ] {
            let audited = audited(violations, trouble);
            assert_eq!(code(&audited), expected);
            let text = shown(&audited, false);
            assert_eq!(text.contains("✗ x"), !violations.is_empty(), "{text}");
            assert_eq!(text.contains("no contradiction"), expected == 0, "{text}");
        }
    }

    #[test]
    fn a_door_is_a_role_and_an_address_with_a_port() {
        assert_eq!(
            admin("order=shop-order.local:9100"),
            Ok((Role::Order, "shop-order.local:9100".to_owned()))
        );
        for (text, expected) in [
            ("order", "role=host:port"),
            ("oder=h:1", "no role `oder`"),
            ("order=h", "no port"),
            ("order=h:x", "no port"),
            ("order=h h:1", "no address"),
        ] {
            let told = admin(text).unwrap_err();
            assert!(told.contains(expected), "{told}");
        }
    }

    #[test]
    fn the_wait_is_the_one_after_a_run() {
        assert_eq!(duration("40s"), Ok(SETTLE));
        assert!(duration("40").is_err());
    }
}
