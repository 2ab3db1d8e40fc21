//! Shared by the simulations: moments in milliseconds, seeded draws, and events in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use shop_resilience::Moment;

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn at_ms(at: u64) -> Moment {
    Moment::after_origin(ms(at))
}

/// SplitMix64 (Steele et al. 2014): enough for a simulation, and the same on every platform.
pub(crate) struct Draws(pub(crate) u64);

impl Draws {
    /// The next draw, from 0 up to 1.
    pub(crate) fn draw(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Future events, in the order of time.
pub(crate) struct Later<T> {
    due: BinaryHeap<Reverse<(Moment, usize)>>,
    things: Vec<Option<T>>,
}

impl<T> Later<T> {
    pub(crate) fn new() -> Self {
        Self {
            due: BinaryHeap::new(),
            things: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, at: Moment, thing: T) {
        self.due.push(Reverse((at, self.things.len())));
        self.things.push(Some(thing));
    }

    /// The next event until then, and its time.
    pub(crate) fn next_until(&mut self, until: Moment) -> Option<(Moment, T)> {
        let Reverse((at, i)) = *self.due.peek()?;
        if at > until {
            return None;
        }
        self.due.pop();
        self.things[i].take().map(|thing| (at, thing))
    }
}
