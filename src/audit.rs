//! The audit: what shoppers were promised against what the services hold.
//!
//! Here the services are asked; what their answers mean is decided in [`holdings`].

mod holdings;

use std::time::Duration;

use anyhow::{Context, Result};
use results::record::{AuditRow, LedgerEntry};
use shop_contract::Role;
use shop_contract::audit::AuditLine;

use crate::supervisor::Supervisor;
use holdings::{Holdings, check};

pub(crate) use holdings::not_made;

/// How long orders under way may take to come to their end when the crowd has left. A message that died with its
/// subscriber is brought again by NATS after 15 s.
const SETTLE: Duration = Duration::from_secs(40);
/// Between two looks whether they have.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long one service may take to tell what it holds.
const LIMIT: Duration = Duration::from_secs(10);
/// The roles that hold something, and keep it in one database however many replicas they have.
const HOLDERS: [Role; 5] = [
    Role::Order,
    Role::Payment,
    Role::Bank,
    Role::Inventory,
    Role::Notification,
];
/// Waits until nothing moves any more, then checks. A service that does not tell what it holds is asked again; when
/// it never does, the audit is not complete, and the reason is given beside it.
pub(crate) async fn settle_and_check(
    shop: &Supervisor,
    ledger: &[LedgerEntry],
) -> (AuditRow, Option<String>) {
    let until = tokio::time::Instant::now() + SETTLE;
    loop {
        let collected = collect(shop).await.map(Holdings::of);
        let late = tokio::time::Instant::now() > until;
        match collected {
            Ok(holdings) if late || holdings.is_settled() => {
                let mut row = check(ledger, &holdings);
                row.complete = holdings.is_settled();
                // An event that has left its outbox may still be on its way through a server.
                if !late && !row.violations.is_empty() {
                    tokio::time::sleep(LOOK_EVERY).await;
                    continue;
                }
                let moving = || {
                    format!(
                        "orders, events or mail were still moving {SETTLE:?} after the crowd had left"
                    )
                };
                let why = (!row.complete).then(moving);
                return (row, why);
            }
            Err(e) if late => return (not_made(ledger), Some(format!("no audit: {e:#}"))),
            Ok(_) | Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

async fn collect(shop: &Supervisor) -> Result<Vec<AuditLine>> {
    let mut lines = Vec::new();
    for role in HOLDERS {
        // Replicas of a role share its database: the first one that answers speaks for all.
        let mut last = Err(anyhow::anyhow!("there is no {role}"));
        for admin in shop.admins(role) {
            last = shop.http().get(admin, "/audit", LIMIT).await;
            if last.is_ok() {
                break;
            }
        }
        let text = last.with_context(|| format!("{role} does not tell what it holds"))?;
        for line in text.lines() {
            let line = serde_json::from_str(line)
                .with_context(|| format!("{role} holds something unknown: {line}"))?;
            lines.push(line);
        }
    }
    Ok(lines)
}
