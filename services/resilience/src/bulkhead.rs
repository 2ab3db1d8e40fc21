//! Bulkheads: one dependency that hangs must not take all of a service.
//!
//! The pattern is Nygard's (*Release It!*, 2007), named after the walls in a ship. Requests that wait for a dependency
//! occupy the caller's limit. When one dependency hangs, they soon occupy all of it, and the service is down even for
//! requests that do not need that dependency. So the calls in flight to each dependency are bounded by a share of the
//! caller's limit. The limit adapts, and the share with it.
//!
//! A call that is refused here costs nothing, and says nothing about the dependency, which was not asked.

use crate::limit::Priority;

/// How much of a service its calls to one dependency may occupy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BulkheadConfig {
    /// Calls in flight, as a share of the caller's limit, 0.5: two dependencies must hang before the service does, and
    /// half of the initial limit of 64 is a hundred calls a second to a peer that takes 300 ms.
    pub share: f64,
    /// Browsing may fill this part of it, 0.8, buying the next one, 0.95; the rest is for critical work. These are the
    /// parts of the limit itself. Otherwise reads for browsing shoppers could fill the bulkhead when the saga of a paid
    /// order wants to commit its stock.
    pub browsing_share: f64,
    /// See `browsing_share`.
    pub buying_share: f64,
    /// Critical work always has this many slots, 8, even at the lowest limit. It does not enter by the limit: orders go
    /// on when their shoppers are gone, and recovery takes up many at once.
    pub least_critical: u32,
}

impl Default for BulkheadConfig {
    fn default() -> Self {
        Self {
            share: 0.5,
            browsing_share: 0.8,
            buying_share: 0.95,
            least_critical: 8,
        }
    }
}

/// The calls in flight to one dependency.
#[derive(Debug, Clone)]
pub struct Bulkhead {
    config: BulkheadConfig,
    in_use: u32,
}

/// A slot for one call, to be given back once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a place that is dropped is taken for ever; give it back with `leave`"]
pub struct BulkheadSlot(());

impl Bulkhead {
    /// No calls in flight.
    pub fn new(config: BulkheadConfig) -> Self {
        Self { config, in_use: 0 }
    }

    /// Takes a slot for one call, all its tries included; the caller may work on `limit` requests at present. `None`:
    /// there is no slot for that priority.
    pub fn enter(&mut self, priority: Priority, limit: u32) -> Option<BulkheadSlot> {
        if self.in_use >= self.capacity(priority, limit) {
            return None;
        }
        self.in_use += 1;
        Some(BulkheadSlot(()))
    }

    /// Gives a slot back.
    pub fn leave(&mut self, _: BulkheadSlot) {
        self.in_use = self.in_use.saturating_sub(1);
    }

    /// The calls in flight.
    pub fn in_use(&self) -> u32 {
        self.in_use
    }

    /// A call of this priority is let through up to this many calls in flight, of all priorities. Each priority has at
    /// least one.
    ///
    /// It may be less than the calls in flight when the limit has fallen since. Then no call enters until enough have
    /// ended.
    pub fn capacity(&self, priority: Priority, limit: u32) -> u32 {
        let all = f64::from(limit) * self.config.share;
        // Browsing rounds down and buying up, so that a small bulkhead still has different bounds for them.
        match priority {
            Priority::Browsing => ((all * self.config.browsing_share) as u32).max(1),
            Priority::Buying => {
                let browsing = self.capacity(Priority::Browsing, limit);
                ((all * self.config.buying_share).ceil() as u32).max(browsing)
            }
            Priority::Critical => {
                let buying = self.capacity(Priority::Buying, limit);
                (all.ceil() as u32)
                    .max(buying)
                    .max(self.config.least_critical)
            }
        }
    }
}
