//! Bulkheads: the bound holds, every slot comes back, and higher priorities have more capacity.

use proptest::prelude::*;
use shop_resilience::{Bulkhead, BulkheadConfig, Priority};

#[derive(Debug, Clone)]
enum Act {
    Enter(Priority),
    /// One of the calls in flight ends.
    Leave(prop::sample::Index),
    /// The caller's own limit changes.
    Limit(u32),
}

fn priority() -> impl Strategy<Value = Priority> {
    prop::sample::select(&Priority::ALL[..])
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => priority().prop_map(Act::Enter),
        2 => any::<prop::sample::Index>().prop_map(Act::Leave),
        1 => (1..200u32).prop_map(Act::Limit),
    ]
}

proptest! {
    #[test]
    fn the_bound_holds_and_every_slot_comes_back(acts in prop::collection::vec(act(), 1..300)) {
        let config = BulkheadConfig::default();
        let mut bulkhead = Bulkhead::new(config);
        let mut under_way = Vec::new();
        let mut limit = 64;
        for act in acts {
            match act {
                Act::Limit(to) => limit = to,
                Act::Leave(which) => {
                    if !under_way.is_empty() {
                        bulkhead.leave(under_way.swap_remove(which.index(under_way.len())));
                    }
                }
                Act::Enter(priority) => {
                    let capacity = bulkhead.capacity(priority, limit);
                    let before = under_way.len() as u32;
                    if let Some(slot) = bulkhead.enter(priority, limit) {
                        under_way.push(slot);
                        prop_assert!(before < capacity);
                        let share = (f64::from(limit) * config.share).ceil() as u32;
                        let most = share.max(config.least_critical);
                        prop_assert!(under_way.len() as u32 <= most, "{} of {most}", under_way.len());
                    } else {
                        prop_assert!(before >= capacity, "refused at {before} of {capacity}");
                    }
                }
            }
            prop_assert_eq!(bulkhead.in_use(), under_way.len() as u32);
        }
        for slot in under_way.drain(..) {
            bulkhead.leave(slot);
        }
        prop_assert_eq!(bulkhead.in_use(), 0);
    }

    #[test]
    fn a_higher_priority_never_has_less_capacity(limit in 1..2000u32) {
        let bulkhead = Bulkhead::new(BulkheadConfig::default());
        let [critical, buying, browsing] = Priority::ALL.map(|p| bulkhead.capacity(p, limit));
        prop_assert!(1 <= browsing && browsing <= buying && buying <= critical);
    }
}

#[test]
fn browsing_leaves_slots_for_buying() {
    let mut bulkhead = Bulkhead::new(BulkheadConfig::default());
    // Kept for good: a dependency that hangs gives no slot back.
    let mut hanging = Vec::new();
    let mut fill = |priority| {
        let before = hanging.len();
        while let Some(slot) = bulkhead.enter(priority, 64) {
            hanging.push(slot);
        }
        hanging.len() - before
    };
    assert_eq!(fill(Priority::Browsing), 25);
    assert_eq!(fill(Priority::Buying), 6);
    assert_eq!(fill(Priority::Critical), 1);
}

#[test]
fn critical_work_has_slots_at_the_lowest_limit() {
    let bulkhead = Bulkhead::new(BulkheadConfig::default());
    assert_eq!(bulkhead.capacity(Priority::Critical, 4), 8);
    assert_eq!(bulkhead.capacity(Priority::Browsing, 4), 1);
}
