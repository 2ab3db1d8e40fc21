//! Bulkheads: one dependency that hangs must not take all of a service.
//!
//! The pattern is Nygard's (*Release It!*, 2007), after the walls that keep one leak from sinking a ship. Requests that
//! wait for a dependency hold places of the caller's limit; when one dependency hangs, soon they hold all of them, and
//! the service is down for those who do not even need it. So the calls under way to each dependency are bounded by a
//! share of the caller's own places. The share follows the adaptive limit: on a machine that can do less, the part that
//! one dependency may take is smaller too.
//!
//! What is refused here has cost nobody anything. It is not the dependency's fault that it was not asked.

use crate::limit::Priority;

/// How much of a service its calls to one dependency may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BulkheadConfig {
    /// Calls under way, as a share of the caller's limit, 0.5: two dependencies must hang before the service does, and
    /// half of the initial limit of 64 is a hundred calls a second to a peer that takes 300 ms.
    pub share: f64,
    /// Browsing may fill this part of it, 0.8, buying the next one, 0.95, and the rest is for what finishes what was
    /// begun: the same parts as those of the limit itself. Else the reads of shoppers who look around could hold every
    /// place when the saga of an order that is paid wants to commit its stock.
    pub browsing_share: f64,
    /// See `browsing_share`.
    pub buying_share: f64,
    /// Critical work always has so many places, 8, also where the limit has sunk to its least. It does not enter by the
    /// limit: orders go on when their shoppers are gone, and recovery takes up many at once.
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

/// The calls under way to one dependency.
#[derive(Debug, Clone)]
pub struct Bulkhead {
    config: BulkheadConfig,
    in_use: u32,
}

/// A place among the calls under way, to be given back once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a place that is dropped is taken for ever; give it back with `leave`"]
pub struct BulkheadSlot(());

impl Bulkhead {
    /// No call under way.
    pub fn new(config: BulkheadConfig) -> Self {
        Self { config, in_use: 0 }
    }

    /// Takes a place for one call, all its tries included, where the caller may work on `limit` requests at present.
    /// `None`: there is no room for that priority.
    pub fn enter(&mut self, priority: Priority, limit: u32) -> Option<BulkheadSlot> {
        if self.in_use >= self.capacity(priority, limit) {
            return None;
        }
        self.in_use += 1;
        Some(BulkheadSlot(()))
    }

    /// Gives a place back.
    pub fn leave(&mut self, _: BulkheadSlot) {
        self.in_use = self.in_use.saturating_sub(1);
    }

    /// The calls under way.
    pub fn in_use(&self) -> u32 {
        self.in_use
    }

    /// Up to how many calls under way, of all priorities, one of this priority is let through. Each has at least one.
    ///
    /// It may be less than what is under way, when the limit has sunk since; then nobody enters until enough have left.
    pub fn capacity(&self, priority: Priority, limit: u32) -> u32 {
        let all = f64::from(limit) * self.config.share;
        // Browsing rounds down and buying up, so that a small bulkhead still tells them apart.
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
