//! A peer's bulkhead, with its lock and its metrics.

use std::sync::Arc;

use metrics::{counter, gauge};
use parking_lot::{Mutex, MutexGuard};
use shop_contract::Role;
use shop_resilience::{Bulkhead, BulkheadConfig, BulkheadSlot, Priority};

use crate::telemetry::metrics::Metrics;
use crate::telemetry::names;

/// The calls in flight to one role.
pub(super) struct BulkheadGate {
    role: Role,
    bulkhead: Mutex<Bulkhead>,
    metrics: Metrics,
}

impl BulkheadGate {
    pub(super) fn new(role: Role, metrics: Metrics) -> Self {
        metrics.record(|| {
            counter!(names::BULKHEAD_REJECTED, "server_address" => role.name()).increment(0);
            gauge!(names::BULKHEAD_IN_USE, "server_address" => role.name()).set(0.0);
        });
        Self {
            role,
            bulkhead: Mutex::new(Bulkhead::new(BulkheadConfig::default())),
            metrics,
        }
    }

    /// Takes a slot for one call; the service itself may work on `limit` requests at present.
    pub(super) fn enter(
        self: &Arc<Self>,
        priority: Priority,
        limit: u32,
    ) -> Option<BulkheadPermit> {
        let slot = self.bulkhead().enter(priority, limit);
        self.metrics.record(|| match &slot {
            Some(_) => {
                gauge!(names::BULKHEAD_IN_USE, "server_address" => self.role.name()).increment(1.0)
            }
            None => counter!(names::BULKHEAD_REJECTED, "server_address" => self.role.name())
                .increment(1),
        });
        Some(BulkheadPermit {
            gate: Arc::clone(self),
            slot: Some(slot?),
        })
    }

    fn bulkhead(&self) -> MutexGuard<'_, Bulkhead> {
        self.bulkhead.lock()
    }
}

/// The slot of a call in flight. It is given back when this is dropped.
pub(super) struct BulkheadPermit {
    gate: Arc<BulkheadGate>,
    slot: Option<BulkheadSlot>,
}

impl Drop for BulkheadPermit {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.gate.bulkhead().leave(slot);
            self.gate.metrics.record(|| {
                gauge!(names::BULKHEAD_IN_USE, "server_address" => self.gate.role.name())
                    .decrement(1.0);
            });
        }
    }
}
