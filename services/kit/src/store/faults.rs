//! The injector of database faults: which orders can be carried out here, and how each fault starts and ends.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use shop_contract::faults::{FaultEffect, FaultOrder};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::db_fault::{DbFault, DbFaultGuard, DbFaultKind};
use super::pool::Pool;
use super::{Store, leak, lock};
use crate::faults::{FaultGuard, FaultHits, FaultInjector, FaultRefused};

/// A real lock or leak, held by a task that releases it when this is dropped. The field order matters: the release comes
/// before the end of the fault that counts the hits.
struct HeldResource {
    _release: DropGuard,
    _faults: Vec<DbFaultGuard>,
}

impl Store {
    /// The distinct pools.
    fn pools(&self) -> Vec<&Pool> {
        let mut pools = vec![&self.write, &self.read];
        pools.dedup_by_key(|pool| pool.name);
        pools
    }

    fn activate(&self, order: &FaultOrder, kind: DbFaultKind, hits: &FaultHits) -> DbFaultGuard {
        let fault = DbFault::new(kind, order.share, order.seed, hits.clone());
        self.faults.add(fault)
    }

    fn lock(&self, order: &FaultOrder, hits: &FaultHits) -> HeldResource {
        let (ended, taken) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)));
        let fault = self.activate(order, DbFaultKind::Locked(taken.clone()), hits);
        let (system, url) = (self.system, self.url.clone());
        let (lasts, until) = (Duration::from_millis(order.ttl_ms), ended.clone());
        tokio::spawn(async move { lock::hold(system, &url, lasts, taken, until).await });
        HeldResource {
            _release: ended.drop_guard(),
            _faults: vec![fault],
        }
    }

    fn leak(&self, order: &FaultOrder, left: u32, hits: &FaultHits) -> HeldResource {
        let ended = CancellationToken::new();
        let pools = self.pools();
        let leaking = pools.into_iter().filter(|pool| pool.max() > left);
        let faults = leaking.map(|pool| {
            let taken = Arc::new(AtomicBool::new(false));
            tokio::spawn(leak::hold(pool.clone(), left, taken.clone(), ended.clone()));
            self.activate(order, DbFaultKind::Leaking(pool.name, taken), hits)
        });
        HeldResource {
            _faults: faults.collect(),
            _release: ended.drop_guard(),
        }
    }
}

impl FaultInjector for Store {
    fn check(&self, order: &FaultOrder) -> Result<(), FaultRefused> {
        let invalid = |why: String| Err(FaultRefused::Invalid(why));
        let kind = order.effect.kind();
        let draws = matches!(
            order.effect,
            FaultEffect::SlowDatabase { .. } | FaultEffect::FailingDatabase
        );
        if !draws && order.share < 1.0 {
            return invalid(format!(
                "kind `{kind}` touches all or nothing, so its `share` can only be 1"
            ));
        }
        match order.effect {
            FaultEffect::SlowDatabase {
                delay_us,
                jitter_us,
            } if jitter_us > delay_us => invalid(
                "`jitter_us` must be at most `delay_us`, since no work can wait less than nothing"
                    .to_owned(),
            ),
            FaultEffect::LeakedConnections { left } => {
                let most = self.pools().iter().map(|p| p.max()).max().unwrap_or(0);
                if left < most {
                    return Ok(());
                }
                invalid(format!(
                    "the largest pool has {most} connections, so with `left: {left}` none would be leaked; \
                     leave fewer than {most}"
                ))
            }
            _ => Ok(()),
        }
    }

    fn start(&self, order: &FaultOrder, hits: FaultHits) -> FaultGuard {
        match order.effect {
            FaultEffect::SlowDatabase {
                delay_us,
                jitter_us,
            } => {
                let slow = DbFaultKind::Slow {
                    delay_us,
                    jitter_us,
                };
                Box::new(self.activate(order, slow, &hits))
            }
            FaultEffect::FailingDatabase => {
                Box::new(self.activate(order, DbFaultKind::Failing, &hits))
            }
            FaultEffect::FullDisk => Box::new(self.activate(order, DbFaultKind::FullDisk, &hits)),
            FaultEffect::LockedDatabase => Box::new(self.lock(order, &hits)),
            FaultEffect::LeakedConnections { left } => Box::new(self.leak(order, left, &hits)),
            // Not a database fault: never given to this injector.
            _ => Box::new(()),
        }
    }
}
