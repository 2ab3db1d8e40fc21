//! Faults of the database, as they are asked for: which can be carried out here, and how each begins and ends.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use shop_contract::faults::{FaultEffect, FaultOrder};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::trouble::{Ailing, Ill, Trouble};
use super::{Pool, Store, leak, lock};
use crate::faults::{Doer, Effect, FaultRefused, Hits};

/// Something real that is in the way: a task has it, and lets go of it when this is dropped. It goes before the count of
/// those whom it was in the way of.
struct InTheWay {
    _let_go: DropGuard,
    _counted: Vec<Ailing>,
}

impl Store {
    /// The pools, each once.
    fn pools(&self) -> Vec<&Pool> {
        let mut pools = vec![&self.write, &self.read];
        pools.dedup_by_key(|pool| pool.name);
        pools
    }

    fn ail(&self, order: &FaultOrder, ill: Ill, hits: &Hits) -> Ailing {
        let trouble = Trouble::new(ill, order.share, order.seed, hits.clone());
        self.troubles.add(trouble)
    }

    fn lock(&self, order: &FaultOrder, hits: &Hits) -> InTheWay {
        let (over, taken) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)));
        let counted = self.ail(order, Ill::Locked(taken.clone()), hits);
        let (system, url) = (self.system, self.url.clone());
        let (lasts, until) = (Duration::from_millis(order.ttl_ms), over.clone());
        tokio::spawn(async move { lock::hold(system, &url, lasts, taken, until).await });
        InTheWay {
            _let_go: over.drop_guard(),
            _counted: vec![counted],
        }
    }

    fn leak(&self, order: &FaultOrder, left: u32, hits: &Hits) -> InTheWay {
        let over = CancellationToken::new();
        let pools = self.pools();
        let leaking = pools.into_iter().filter(|pool| pool.most() > left);
        let counted = leaking.map(|pool| {
            let taken = Arc::new(AtomicBool::new(false));
            tokio::spawn(leak::hold(pool.clone(), left, taken.clone(), over.clone()));
            self.ail(order, Ill::Leaking(pool.name, taken), hits)
        });
        InTheWay {
            _counted: counted.collect(),
            _let_go: over.drop_guard(),
        }
    }
}

impl Doer for Store {
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
                let most = self.pools().iter().map(|p| p.most()).max().unwrap_or(0);
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

    fn begin(&self, order: &FaultOrder, hits: Hits) -> Effect {
        match order.effect {
            FaultEffect::SlowDatabase {
                delay_us,
                jitter_us,
            } => {
                let slow = Ill::Slow {
                    delay_us,
                    jitter_us,
                };
                Box::new(self.ail(order, slow, &hits))
            }
            FaultEffect::FailingDatabase => Box::new(self.ail(order, Ill::Failing, &hits)),
            FaultEffect::FullDisk => Box::new(self.ail(order, Ill::FullDisk, &hits)),
            FaultEffect::LockedDatabase => Box::new(self.lock(order, &hits)),
            FaultEffect::LeakedConnections { left } => Box::new(self.leak(order, left, &hits)),
            // Not of the database: never asked of this doer.
            _ => Box::new(()),
        }
    }
}
