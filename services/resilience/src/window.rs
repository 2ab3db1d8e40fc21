//! A sliding window over time, in slots: recent events in constant memory.

use std::time::Duration;

use crate::moment::Moment;

/// A ring of equally wide slots. The newest one holds the present.
///
/// Its own time never runs backwards. A caller that read the clock earlier but comes in later is counted at the later
/// time, so nothing is added to a slot that was already judged.
#[derive(Debug, Clone)]
pub(crate) struct Window<T> {
    slot_width: Duration,
    slots: Vec<T>,
    /// Number of the newest slot since the origin; its index is this number modulo the ring's length.
    newest: u64,
}

impl<T: Copy + Default> Window<T> {
    /// A ring of `slots` slots, `per_span` of which are as long as `span`.
    ///
    /// A ring of `per_span` slots reaches back *at most* `span`, as the newest slot is still being filled. With one
    /// slot more it reaches back *at least* `span`.
    pub(crate) fn new(span: Duration, per_span: u32, slots: usize) -> Self {
        Self {
            slot_width: (span / per_span.max(1)).max(Duration::from_nanos(1)),
            slots: vec![T::default(); slots.max(1)],
            newest: 0,
        }
    }

    /// Moves on to `now` and returns the slot of the present.
    pub(crate) fn at(&mut self, now: Moment) -> &mut T {
        let number = now.elapsed().as_nanos() / self.slot_width.as_nanos();
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        let len = self.slots.len() as u64;
        if number.saturating_sub(self.newest) >= len {
            self.clear();
        } else {
            for passed in self.newest + 1..=number {
                self.slots[(passed % len) as usize] = T::default();
            }
        }
        self.newest = self.newest.max(number);
        &mut self.slots[(self.newest % len) as usize]
    }

    /// The slots, the present one first. Call [`Self::at`] before it, or the slots are those of an earlier time.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &T> {
        let split = (self.newest % self.slots.len() as u64) as usize + 1;
        let (recent, old) = self.slots.split_at(split);
        recent.iter().rev().chain(old.iter().rev())
    }

    /// Forgets everything but the time.
    pub(crate) fn clear(&mut self) {
        self.slots.fill(T::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_ms(ms: u64) -> Moment {
        Moment::after_origin(Duration::from_millis(ms))
    }

    #[test]
    fn what_left_the_window_is_forgotten_and_what_is_in_it_is_not() {
        let mut window: Window<u32> = Window::new(Duration::from_secs(1), 4, 4);
        *window.at(at_ms(0)) += 1;
        *window.at(at_ms(300)) += 10;
        *window.at(at_ms(900)) += 100;
        assert_eq!(
            window.newest_first().copied().collect::<Vec<_>>(),
            [100, 0, 10, 1]
        );
        window.at(at_ms(1000));
        assert_eq!(window.newest_first().sum::<u32>(), 110);
        window.at(at_ms(60_000));
        assert_eq!(window.newest_first().sum::<u32>(), 0);
    }

    #[test]
    fn a_caller_with_an_older_clock_is_counted_in_the_present() {
        let mut window: Window<u32> = Window::new(Duration::from_secs(1), 4, 4);
        *window.at(at_ms(900)) += 1;
        *window.at(at_ms(100)) += 1;
        assert_eq!(window.newest_first().next(), Some(&2));
    }
}
