//! The audit: compares what shoppers were promised with what the services hold.
//!
//! This file queries the services; the rules are in the crate `shop_audit`. The cheap query `/audit/moving` is repeated until
//! nothing is in progress. Then the full `/audit` pages are read.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use results::record::{AuditRow, LedgerEntry};
use serde::de::DeserializeOwned;
use shop_audit::{Holdings, check};
use shop_contract::Role;
use shop_contract::audit::{AuditLine, Moving};

use crate::http::HttpClient;
use crate::shop::backend::ShopBackend;

pub(crate) use shop_audit::not_made;

/// The time limit for open orders to end after the load. NATS redelivers a message that its subscriber lost after 15 s.
pub(crate) const SETTLE: Duration = Duration::from_secs(40);
/// The interval of checks whether they have.
const POLL: Duration = Duration::from_millis(200);
/// The time limit of one `/audit/moving` query.
const MOVING_TIMEOUT: Duration = Duration::from_secs(5);
/// The time limit of one `/audit` query.
const AUDIT_TIMEOUT: Duration = Duration::from_secs(60);
/// The roles that are audited. The replicas of each share one database. Every service with an outbox is among them.
pub(crate) const AUDITED_ROLES: [Role; 5] = [
    Role::Order,
    Role::Payment,
    Role::Bank,
    Role::Inventory,
    Role::Notification,
];

/// A client of the services' audit pages.
pub(crate) struct AuditClient {
    http: HttpClient,
    /// `host:port` of each replica's admin listener.
    admins: BTreeMap<Role, Vec<String>>,
}

/// The outcome of an audit.
pub(crate) struct AuditOutcome {
    /// Counts and contradictions.
    pub row: AuditRow,
    /// Why the audit is not complete, if it is not.
    pub incomplete: Option<Incomplete>,
}

/// Why an audit is not complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Incomplete {
    /// Orders, events or mail were still in progress at the time limit. As text.
    Moving(String),
    /// A service did not answer. As text.
    NoAnswer(String),
}

impl Incomplete {
    /// The reason as text.
    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Moving(text) | Self::NoAnswer(text) => text,
        }
    }
}

impl AuditClient {
    /// A client for the admin listeners of each role's replicas, as `host:port`.
    pub(crate) fn new(http: HttpClient, admins: BTreeMap<Role, Vec<String>>) -> Self {
        Self { http, admins }
    }

    /// A client for the processes of a shop.
    pub(crate) fn of(shop: &dyn ShopBackend) -> Self {
        let mut admins: BTreeMap<Role, Vec<String>> = BTreeMap::new();
        for ((role, _), admin) in shop.admins() {
            admins.entry(role).or_default().push(admin.to_string());
        }
        Self::new(shop.http().clone(), admins)
    }

    /// The numbers of orders, events and mails in progress.
    ///
    /// # Errors
    /// A service does not answer.
    pub(crate) async fn moving(&self) -> Result<Moving> {
        let mut all = Moving::default();
        for role in AUDITED_ROLES {
            let text = self.get(role, "/audit/moving", MOVING_TIMEOUT).await?;
            let moving = read(role, &text)?;
            all = all.and(moving);
        }
        Ok(all)
    }

    async fn holdings(&self) -> Result<Holdings> {
        let mut lines: Vec<AuditLine> = Vec::new();
        for role in AUDITED_ROLES {
            let text = self.get(role, "/audit", AUDIT_TIMEOUT).await?;
            for line in text.lines() {
                lines.push(read(role, line)?);
            }
        }
        Ok(Holdings::of(lines))
    }

    /// Gets a page from the first replica that answers. The replicas of a role share one database.
    async fn get(&self, role: Role, path: &str, limit: Duration) -> Result<String> {
        let mut last = Err(anyhow::anyhow!("no address of {role} is known"));
        for admin in self.admins.get(&role).into_iter().flatten() {
            last = self.http.get(admin, path, limit).await;
            if last.is_ok() {
                break;
            }
        }
        last.with_context(|| format!("{role} does not answer the audit"))
    }
}

fn read<T: DeserializeOwned>(role: Role, text: &str) -> Result<T> {
    serde_json::from_str(text)
        .with_context(|| format!("{role} has an unknown line in its audit page: {text}"))
}

/// Waits until nothing is in progress, then checks. A query that fails is repeated. If it fails until the time limit, the
/// audit is not complete.
pub(crate) async fn settle_and_check(
    client: &AuditClient,
    ledger: &[LedgerEntry],
    wait: Duration,
) -> AuditOutcome {
    let until = tokio::time::Instant::now() + wait;
    loop {
        let late = tokio::time::Instant::now() >= until;
        match try_check(client, ledger, late, wait).await {
            Ok(Some(outcome)) => return outcome,
            Err(e) if late => {
                return AuditOutcome {
                    row: not_made(ledger),
                    incomplete: Some(Incomplete::NoAnswer(format!("no audit: {e:#}"))),
                };
            }
            Ok(None) | Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

/// Checks once. `None` while something is in progress, unless it is `late`.
async fn try_check(
    client: &AuditClient,
    ledger: &[LedgerEntry],
    late: bool,
    wait: Duration,
) -> Result<Option<AuditOutcome>> {
    let moving = client.moving().await?;
    if !late && !moving.is_still() {
        return Ok(None);
    }
    let held = client.holdings().await?;
    // Something may have started between the two queries. An event that has left its outbox may still be in a message
    // server.
    let settled = held.is_settled();
    if !late && (!settled || held.awaits_messages()) {
        return Ok(None);
    }
    let row = AuditRow {
        complete: settled,
        ..check(ledger, &held)
    };
    let text = || {
        let wait = syntax::units::show_duration(wait);
        format!(
            "{} were still in progress after {wait}",
            in_progress(moving)
        )
    };
    let incomplete = (!settled).then(|| Incomplete::Moving(text()));
    Ok(Some(AuditOutcome { row, incomplete }))
}

/// The counts in progress, as text.
fn in_progress(moving: Moving) -> String {
    let Moving {
        orders,
        events,
        mail,
    } = moving;
    let counts = [(orders, "orders"), (events, "events"), (mail, "mails")];
    let some = counts.iter().filter(|(n, _)| *n > 0);
    let some: Vec<String> = some.map(|(n, what)| format!("{n} {what}")).collect();
    match &some[..] {
        [] => "orders, events or mails".to_owned(),
        some => some.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_in_progress_are_listed() {
        let moving = |orders, events, mail| Moving {
            orders,
            events,
            mail,
        };
        assert_eq!(in_progress(moving(2, 0, 1)), "2 orders, 1 mails");
        assert_eq!(in_progress(moving(0, 3, 0)), "3 events");
    }
}
