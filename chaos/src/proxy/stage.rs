//! One toxic on one direction of one connection: the items that wait in it, and when they are due. Pure.
//!
//! Times count from the connection's start. A chunk arrives at the next stage at the time it was *due* here, not at the
//! time it was taken out, so the delays of late timers do not add up.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::toxic::ToxicKind;
use super::toxics::ActiveToxic;

/// An item that passes through a link.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item {
    /// Bytes, at least one.
    Data(Bytes),
    /// The sender sends no more (FIN). The other direction continues.
    End,
    /// The connection is to be closed in both directions.
    Close,
    /// The sender has reset the connection.
    Reset,
}

impl Item {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            _ => 0,
        }
    }

    /// Its memory, including the overhead of an item.
    pub(super) fn cost(&self) -> usize {
        self.len() + 64
    }
}

/// The limit of data that waits in a latency. 8 MiB allow 80 MB/s at 100 ms.
const DELAYED_BYTES: usize = 8 << 20;
/// The limit of data that waits in any other toxic; about the size of a socket buffer.
const WAITING_BYTES: usize = 64 << 10;
/// A bandwidth buffers data for this time, in milliseconds: enough to keep the rate while the sender pauses, and short
/// enough that a fast sender is slowed soon.
const RATE_MS: u64 = 200;
/// The least data that a bandwidth buffers.
const LEAST_BYTES: usize = 4 << 10;
/// A bandwidth passes data on in pieces of this duration, so that the rate is even over longer times.
const PIECE: Duration = Duration::from_millis(10);

#[derive(Debug)]
struct Queued {
    item: Item,
    arrived: Duration,
}

/// What is to be taken from the first waiting item.
#[derive(Debug, Clone, Copy)]
struct Next {
    /// The number of bytes, if it is data.
    len: usize,
    /// `None` for never.
    due: Option<Duration>,
}

/// A toxic applied to a connection.
#[derive(Debug)]
pub(super) struct Stage {
    toxic: Arc<ActiveToxic>,
    rng: ChaCha8Rng,
    /// When the toxic was applied.
    since: Duration,
    queue: VecDeque<Queued>,
    cost: usize,
    next: Option<Next>,
    /// No item is due before this time.
    free_at: Duration,
    /// Bytes passed on.
    passed: u64,
    /// It has closed the connection and drops all items.
    is_closed: bool,
    is_counted: bool,
}

impl Stage {
    pub(super) fn new(toxic: Arc<ActiveToxic>, rng: ChaCha8Rng, now: Duration) -> Self {
        Self {
            toxic,
            rng,
            since: now,
            queue: VecDeque::new(),
            cost: 0,
            next: None,
            free_at: now,
            passed: 0,
            is_closed: false,
            is_counted: false,
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.toxic.id
    }

    /// Replaces the toxic by a changed one. It applies to waiting items as well.
    pub(super) fn change(&mut self, toxic: Arc<ActiveToxic>) {
        if !Arc::ptr_eq(&self.toxic, &toxic) {
            self.toxic = toxic;
            self.next = None;
        }
    }

    /// How many more bytes it may take.
    pub(super) fn free_bytes(&self) -> usize {
        let most = match self.toxic.kind {
            _ if self.is_closed => 0,
            ToxicKind::Latency { .. } => DELAYED_BYTES,
            ToxicKind::Bandwidth { rate } => usize::try_from(rate.saturating_mul(RATE_MS))
                .unwrap_or(usize::MAX)
                .clamp(LEAST_BYTES, DELAYED_BYTES),
            _ => WAITING_BYTES,
        };
        most.saturating_sub(self.cost)
    }

    /// Adds an item that arrives at `at`.
    pub(super) fn push(&mut self, item: Item, at: Duration) {
        if self.is_closed {
            return;
        }
        match self.toxic.kind {
            ToxicKind::Timeout { .. } if item.len() > 0 => return self.count(item.len()),
            ToxicKind::Latency { latency, jitter } if latency.is_zero() && jitter.is_zero() => {}
            ToxicKind::Latency { .. }
            | ToxicKind::Bandwidth { .. }
            | ToxicKind::ResetPeer { .. }
                if item.len() > 0 =>
            {
                self.count(item.len());
            }
            ToxicKind::SlowClose { .. } if item.len() == 0 => self.count(0),
            _ => {}
        }
        self.cost += item.cost();
        self.queue.push_back(Queued { item, arrived: at });
    }

    /// Removes and returns the next item that is due, with the time when it was due.
    pub(super) fn pop(&mut self, now: Duration) -> Option<(Item, Duration)> {
        if self.is_closed {
            return None;
        }
        if let Some(at) = self.closes_at().filter(|at| *at <= now) {
            return Some((self.close(), at));
        }
        let next = self.next()?;
        let due = next.due.filter(|due| *due <= now)?;
        self.next = None;
        self.free_at = due;
        if let ToxicKind::Slicer { delay, .. } = self.toxic.kind {
            self.free_at += delay;
        }
        let head = self.queue.front_mut()?;
        if let Item::Data(data) = &mut head.item
            && next.len < data.len()
        {
            let piece = data.split_to(next.len);
            self.cost -= piece.len();
            self.passed += piece.len() as u64;
            if matches!(self.toxic.kind, ToxicKind::Slicer { .. }) {
                self.count(piece.len());
            }
            return Some((Item::Data(piece), due));
        }
        let Queued { item, .. } = self.queue.pop_front()?;
        self.cost -= item.cost();
        self.passed += item.len() as u64;
        // No data passes a timeout, so the connection ends when its sender does.
        if matches!(self.toxic.kind, ToxicKind::Timeout { .. }) {
            return Some((self.close(), due));
        }
        Some((item, due))
    }

    /// When [`pop`](Self::pop) returns something next.
    pub(super) fn due(&mut self) -> Option<Duration> {
        if self.is_closed {
            return None;
        }
        let next = self.next().and_then(|n| n.due);
        [next, self.closes_at()].into_iter().flatten().min()
    }

    /// When this toxic resets the connection.
    pub(super) fn resets_at(&self) -> Option<Duration> {
        match self.toxic.kind {
            ToxicKind::ResetPeer { timeout } => Some(self.since + timeout),
            _ => None,
        }
    }

    /// Counts the reset of the connection.
    pub(super) fn count_reset(&mut self) {
        self.count(0);
    }

    /// The waiting items when the toxic is removed, in order.
    pub(super) fn into_items(self) -> impl Iterator<Item = Item> {
        // Bytes are missing from this stream, so the receiver would misread later data. The connection is closed.
        let has_gap = matches!(self.toxic.kind, ToxicKind::Timeout { .. }) && !self.is_closed;
        let items = self.queue.into_iter().map(|queued| queued.item);
        items
            .filter(move |_| !has_gap)
            .chain(has_gap.then_some(Item::Close))
    }

    /// When this toxic closes the connection.
    fn closes_at(&self) -> Option<Duration> {
        match self.toxic.kind {
            ToxicKind::Timeout { timeout } if !timeout.is_zero() => Some(self.since + timeout),
            ToxicKind::LimitData { bytes } if self.passed >= bytes => {
                let has_more = self.queue.front().is_some_and(|h| h.item.len() > 0);
                (self.passed > 0 || has_more).then_some(self.free_at)
            }
            _ => None,
        }
    }

    #[cfg(test)]
    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    fn close(&mut self) -> Item {
        let dropped = self.queue.drain(..).map(|h| h.item.len()).sum();
        self.count(dropped);
        self.cost = 0;
        self.is_closed = true;
        Item::Close
    }

    fn next(&mut self) -> Option<Next> {
        if self.next.is_none() {
            self.next = self.decide_next();
        }
        self.next
    }

    fn decide_next(&mut self) -> Option<Next> {
        let Queued { item, arrived } = self.queue.front()?;
        let (len, arrived) = (item.len(), *arrived);
        let in_order = |at: Duration| at.max(self.free_at);
        Some(match self.toxic.kind {
            ToxicKind::Latency { latency, jitter } => Next {
                len,
                due: Some(in_order(arrived + delay(latency, jitter, &mut self.rng))),
            },
            ToxicKind::Bandwidth { rate: 0 } | ToxicKind::ResetPeer { .. } => {
                Next { len, due: None }
            }
            ToxicKind::Bandwidth { rate } => {
                let len = len.min(piece_len(rate));
                Next {
                    len,
                    due: Some(in_order(arrived) + time_of(len, rate)),
                }
            }
            ToxicKind::SlowClose { delay } if len == 0 => Next {
                len,
                due: Some(in_order(arrived + delay)),
            },
            ToxicKind::Slicer {
                average_size,
                size_variation,
                ..
            } => Next {
                len: slice(len, average_size, size_variation, &mut self.rng),
                due: Some(in_order(arrived)),
            },
            ToxicKind::LimitData { bytes } => {
                let left = usize::try_from(bytes.saturating_sub(self.passed)).unwrap_or(usize::MAX);
                Next {
                    len: len.min(left),
                    due: Some(in_order(arrived)),
                }
            }
            ToxicKind::Noop | ToxicKind::SlowClose { .. } | ToxicKind::Timeout { .. } => Next {
                len,
                due: Some(in_order(arrived)),
            },
        })
    }

    fn count(&mut self, bytes: usize) {
        self.toxic.hits.add(!self.is_counted, bytes as u64);
        self.is_counted = true;
    }
}

/// `latency` ± `jitter`: uniform, in whole microseconds, and not negative.
fn delay(latency: Duration, jitter: Duration, rng: &mut ChaCha8Rng) -> Duration {
    if jitter.is_zero() {
        return latency;
    }
    let width = u64::try_from(2 * jitter.as_micros()).unwrap_or(u64::MAX);
    (latency + Duration::from_micros(rng.random_range(0..=width))).saturating_sub(jitter)
}

/// The largest piece in bytes, at `rate` kilobytes a second.
fn piece_len(rate: u64) -> usize {
    let per_ms = usize::try_from(rate).unwrap_or(usize::MAX);
    per_ms.saturating_mul(PIECE.as_millis() as usize)
}

/// How long `len` bytes take at `rate` kilobytes a second, that is bytes a millisecond.
fn time_of(len: usize, rate: u64) -> Duration {
    Duration::from_nanos((len as u64).saturating_mul(1_000_000) / rate)
}

/// The length of the next piece of `len` bytes: `average` ± `variation`, at least 1. A last piece of at most
/// `average` + `variation` is not split.
fn slice(len: usize, average: u64, variation: u64, rng: &mut ChaCha8Rng) -> usize {
    if len as u64 <= average.saturating_add(variation) {
        return len;
    }
    let least = average.saturating_sub(variation).max(1);
    let most = average.saturating_add(variation);
    usize::try_from(rng.random_range(least..=most)).map_or(len, |cut| cut.min(len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn rng() -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(1)
    }

    #[test]
    fn jitter_is_uniform_around_the_latency_and_the_delay_is_never_negative() {
        let mut rng = rng();
        let all: Vec<_> = (0..4000)
            .map(|_| delay(ms(100), ms(20), &mut rng))
            .collect();
        assert!(all.iter().all(|d| (ms(80)..=ms(120)).contains(d)));
        let mean = all.iter().sum::<Duration>() / 4000;
        assert!((ms(99)..=ms(101)).contains(&mean), "{mean:?}");
        let early = all.iter().filter(|d| **d < ms(90)).count();
        assert!((850..=1150).contains(&early), "{early}");
        assert!((0..100).all(|_| delay(ms(1), ms(50), &mut rng) <= ms(51)));
        assert_eq!(delay(ms(7), ms(0), &mut rng), ms(7));
    }

    #[test]
    fn slices_vary_around_their_average_and_leave_no_tiny_rest() {
        let mut rng = rng();
        for (average, variation) in [(10, 0), (10, 4), (1, 0), (5, 20)] {
            let mut left = 10_000usize;
            let mut pieces = vec![];
            while left > 0 {
                let piece = slice(left, average, variation, &mut rng);
                assert!(piece > 0 && piece <= left);
                pieces.push(piece as u64);
                left -= piece;
            }
            let least = average.saturating_sub(variation).max(1);
            let (_, cut) = pieces.split_last().unwrap();
            let within = cut
                .iter()
                .all(|p| (least..=average + variation).contains(p));
            assert!(within, "{average} ± {variation}: {pieces:?}");
        }
    }

    #[test]
    fn a_rate_is_in_units_of_1000_bytes_a_second() {
        assert_eq!(time_of(1000, 1), Duration::from_secs(1));
        assert_eq!(time_of(500, 1000), Duration::from_micros(500));
        assert_eq!(piece_len(100), 1000);
    }
}
