//! The audit: what shoppers were promised against what the services hold.
//!
//! Here the services are asked; what their answers mean is decided in [`holdings`]. Whether anything still moves is
//! asked often and costs little; all that is held is asked for once nothing does.

pub(crate) mod command;
mod holdings;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use results::record::{AuditRow, LedgerEntry};
use serde::de::DeserializeOwned;
use shop_contract::Role;
use shop_contract::audit::{AuditLine, Moving};

use crate::http::Http;
use holdings::{Holdings, check};

pub(crate) use holdings::not_made;

/// How long orders under way may take to come to their end when the crowd has left. A message that died with its
/// subscriber is brought again by NATS after 15 s.
pub(crate) const SETTLE: Duration = Duration::from_secs(40);
/// Between two looks whether they have.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long one service may take to say whether anything moves.
const ANSWER: Duration = Duration::from_secs(5);
/// How long one service may take to tell all that it holds.
const TELL: Duration = Duration::from_secs(60);
/// The roles that hold something that others can contradict, and keep it in one database however many replicas they
/// have. Every service with an outbox is among them.
pub(crate) const HOLDERS: [Role; 5] = [
    Role::Order,
    Role::Payment,
    Role::Bank,
    Role::Inventory,
    Role::Notification,
];

/// The doors at which the services tell what they hold.
pub(crate) struct Doors {
    http: Http,
    /// `host:port` of each replica's admin listener.
    admins: BTreeMap<Role, Vec<String>>,
}

/// What an audit came to.
pub(crate) struct Audited {
    /// What was found.
    pub row: AuditRow,
    /// Why it is not complete, where it is not.
    pub trouble: Option<Trouble>,
}

/// Why an audit is not complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Things were still moving when time ran out. In words.
    Moving(String),
    /// A service did not tell what it holds. In words.
    Unasked(String),
}

impl Trouble {
    /// In words.
    pub(crate) fn into_words(self) -> String {
        match self {
            Self::Moving(words) | Self::Unasked(words) => words,
        }
    }
}

impl Doors {
    /// The admin listeners of each role's replicas, as `host:port`.
    pub(crate) fn new(http: Http, admins: BTreeMap<Role, Vec<String>>) -> Self {
        Self { http, admins }
    }

    /// What has not come to its end yet.
    ///
    /// # Errors
    /// A service that does not say.
    pub(crate) async fn moving(&self) -> Result<Moving> {
        let mut all = Moving::default();
        for role in HOLDERS {
            let text = self.ask(role, "/audit/moving", ANSWER).await?;
            let moving = read(role, &text)?;
            all = all.and(moving);
        }
        Ok(all)
    }

    async fn held(&self) -> Result<Holdings> {
        let mut lines: Vec<AuditLine> = Vec::new();
        for role in HOLDERS {
            let text = self.ask(role, "/audit", TELL).await?;
            for line in text.lines() {
                lines.push(read(role, line)?);
            }
        }
        Ok(Holdings::of(lines))
    }

    /// Replicas of a role share its database: the first one that answers speaks for all.
    async fn ask(&self, role: Role, path: &str, limit: Duration) -> Result<String> {
        let mut last = Err(anyhow::anyhow!("no address of {role} is known"));
        for admin in self.admins.get(&role).into_iter().flatten() {
            last = self.http.get(admin, path, limit).await;
            if last.is_ok() {
                break;
            }
        }
        last.with_context(|| format!("{role} does not tell what it holds"))
    }
}

fn read<T: DeserializeOwned>(role: Role, text: &str) -> Result<T> {
    serde_json::from_str(text).with_context(|| format!("{role} holds something unknown: {text}"))
}

/// Waits until nothing moves any more, then checks. A service that does not tell what it holds is asked again; when
/// it never does, the audit is not complete.
pub(crate) async fn settle_and_check(
    doors: &Doors,
    ledger: &[LedgerEntry],
    wait: Duration,
) -> Audited {
    let until = tokio::time::Instant::now() + wait;
    loop {
        let late = tokio::time::Instant::now() >= until;
        match look(doors, ledger, late, wait).await {
            Ok(Some(audited)) => return audited,
            Err(e) if late => {
                return Audited {
                    row: not_made(ledger),
                    trouble: Some(Trouble::Unasked(format!("no audit: {e:#}"))),
                };
            }
            Ok(None) | Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// One look. None while there is something to wait for, unless it is `late`.
async fn look(
    doors: &Doors,
    ledger: &[LedgerEntry],
    late: bool,
    wait: Duration,
) -> Result<Option<Audited>> {
    let moving = doors.moving().await?;
    if !late && !moving.is_still() {
        return Ok(None);
    }
    let held = doors.held().await?;
    // Between the two questions something may have begun; and an event that has left its outbox may still be on its
    // way through a server.
    let settled = held.is_settled();
    if !late && (!settled || held.awaits_messages()) {
        return Ok(None);
    }
    let row = AuditRow {
        complete: settled,
        ..check(ledger, &held)
    };
    let words = || {
        let wait = syntax::units::show_duration(wait);
        format!("{} were still moving after {wait}", named(moving))
    };
    let trouble = (!settled).then(|| Trouble::Moving(words()));
    Ok(Some(Audited { row, trouble }))
}

/// What moves, in words.
fn named(moving: Moving) -> String {
    let Moving {
        orders,
        events,
        mail,
    } = moving;
    let named = [(orders, "orders"), (events, "events"), (mail, "mails")];
    let some = named.iter().filter(|(n, _)| *n > 0);
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
    fn what_moves_is_named() {
        let moving = |orders, events, mail| Moving {
            orders,
            events,
            mail,
        };
        assert_eq!(named(moving(2, 0, 1)), "2 orders, 1 mails");
        assert_eq!(named(moving(0, 3, 0)), "3 events");
    }
}
