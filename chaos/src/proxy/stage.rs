//! One toxic on one way of one connection: what waits in it, and when it may go on. Pure.
//!
//! Times are counted from the connection's start. A chunk arrives at the next stage when it was *due* here, not when
//! somebody came to fetch it: a late timer delays one chunk and not, added up, all that follow.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::toxic::Kind;
use super::toxics::Active;

/// What goes through a link.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item {
    /// Bytes, at least one.
    Data(Bytes),
    /// The sender sends no more (FIN); the other way goes on.
    End,
    /// The connection is to be closed, both ways.
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

    /// What it takes to keep it: a byte kept by itself takes more than a byte.
    pub(super) fn cost(&self) -> usize {
        self.len() + 64
    }
}

/// The most that waits for its delay on one way of a connection. 8 MiB are 80 MB/s at 100 ms.
const DELAYED_BYTES: usize = 8 << 20;
/// The most that waits in any other toxic: about what a socket's own buffer holds.
const HELD_BYTES: usize = 64 << 10;
/// A limited rate is held for so long ahead, in milliseconds: enough to keep it up while a sender is asleep, and not so
/// much that the sender learns late that it is too quick.
const RATE_MS: u64 = 200;
/// But at least so much.
const LEAST_BYTES: usize = 4 << 10;
/// A limited rate is given out in pieces of this length, so that it is even over any longer time.
const PIECE: Duration = Duration::from_millis(10);

#[derive(Debug)]
struct Held {
    item: Item,
    arrived: Duration,
}

/// What is decided about the first thing that waits.
#[derive(Debug, Clone, Copy)]
struct Next {
    /// So much of it, when it is data.
    len: usize,
    /// Never, when there is none.
    due: Option<Duration>,
}

/// A toxic at work.
#[derive(Debug)]
pub(super) struct Stage {
    toxic: Arc<Active>,
    rng: ChaCha8Rng,
    /// When it met the connection.
    since: Duration,
    held: VecDeque<Held>,
    cost: usize,
    next: Option<Next>,
    /// Nothing goes before.
    free_at: Duration,
    /// Bytes that went through.
    passed: u64,
    /// It has closed the connection, and takes nothing any more.
    is_shut: bool,
    is_counted: bool,
}

impl Stage {
    pub(super) fn new(toxic: Arc<Active>, rng: ChaCha8Rng, now: Duration) -> Self {
        Self {
            toxic,
            rng,
            since: now,
            held: VecDeque::new(),
            cost: 0,
            next: None,
            free_at: now,
            passed: 0,
            is_shut: false,
            is_counted: false,
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.toxic.id
    }

    /// Takes over a changed toxic. What waits is decided anew.
    pub(super) fn change(&mut self, toxic: Arc<Active>) {
        if !Arc::ptr_eq(&self.toxic, &toxic) {
            self.toxic = toxic;
            self.next = None;
        }
    }

    /// How many bytes may still come in.
    pub(super) fn room(&self) -> usize {
        let most = match self.toxic.kind {
            _ if self.is_shut => 0,
            Kind::Latency { .. } => DELAYED_BYTES,
            Kind::Bandwidth { rate } => usize::try_from(rate.saturating_mul(RATE_MS))
                .unwrap_or(usize::MAX)
                .clamp(LEAST_BYTES, DELAYED_BYTES),
            _ => HELD_BYTES,
        };
        most.saturating_sub(self.cost)
    }

    /// Takes what arrives at `at`.
    pub(super) fn push(&mut self, item: Item, at: Duration) {
        if self.is_shut {
            return;
        }
        match self.toxic.kind {
            Kind::Timeout { .. } if item.len() > 0 => return self.count(item.len()),
            Kind::Latency { latency, jitter } if latency.is_zero() && jitter.is_zero() => {}
            Kind::Latency { .. } | Kind::Bandwidth { .. } | Kind::ResetPeer { .. }
                if item.len() > 0 =>
            {
                self.count(item.len());
            }
            Kind::SlowClose { .. } if item.len() == 0 => self.count(0),
            _ => {}
        }
        self.cost += item.cost();
        self.held.push_back(Held { item, arrived: at });
    }

    /// Gives out what is due, and when it was.
    pub(super) fn pop(&mut self, now: Duration) -> Option<(Item, Duration)> {
        if self.is_shut {
            return None;
        }
        if let Some(at) = self.closes_at().filter(|at| *at <= now) {
            return Some((self.shut(), at));
        }
        let next = self.decided()?;
        let due = next.due.filter(|due| *due <= now)?;
        self.next = None;
        self.free_at = due;
        if let Kind::Slicer { delay, .. } = self.toxic.kind {
            self.free_at += delay;
        }
        let head = self.held.front_mut()?;
        if let Item::Data(data) = &mut head.item
            && next.len < data.len()
        {
            let piece = data.split_to(next.len);
            self.cost -= piece.len();
            self.passed += piece.len() as u64;
            if matches!(self.toxic.kind, Kind::Slicer { .. }) {
                self.count(piece.len());
            }
            return Some((Item::Data(piece), due));
        }
        let Held { item, .. } = self.held.pop_front()?;
        self.cost -= item.cost();
        self.passed += item.len() as u64;
        // Nothing comes through a timeout, so the end of the sender is the end of the connection.
        if matches!(self.toxic.kind, Kind::Timeout { .. }) {
            return Some((self.shut(), due));
        }
        Some((item, due))
    }

    /// When [`pop`](Self::pop) has something next.
    pub(super) fn due(&mut self) -> Option<Duration> {
        if self.is_shut {
            return None;
        }
        let next = self.decided().and_then(|n| n.due);
        [next, self.closes_at()].into_iter().flatten().min()
    }

    /// When the connection is to be reset, by this toxic's own will.
    pub(super) fn resets_at(&self) -> Option<Duration> {
        match self.toxic.kind {
            Kind::ResetPeer { timeout } => Some(self.since + timeout),
            _ => None,
        }
    }

    /// Notes that the connection was reset.
    pub(super) fn count_reset(&mut self) {
        self.count(0);
    }

    /// What is left when the toxic is taken away, in order.
    pub(super) fn into_rest(self) -> impl Iterator<Item = Item> {
        // Bytes are missing from this stream: whoever reads on would take what follows for what is missing.
        let has_hole = matches!(self.toxic.kind, Kind::Timeout { .. }) && !self.is_shut;
        let rest = self.held.into_iter().map(|held| held.item);
        rest.filter(move |_| !has_hole)
            .chain(has_hole.then_some(Item::Close))
    }

    /// When the toxic itself closes the connection.
    fn closes_at(&self) -> Option<Duration> {
        match self.toxic.kind {
            Kind::Timeout { timeout } if !timeout.is_zero() => Some(self.since + timeout),
            Kind::LimitData { bytes } if self.passed >= bytes => {
                let has_more = self.held.front().is_some_and(|h| h.item.len() > 0);
                (self.passed > 0 || has_more).then_some(self.free_at)
            }
            _ => None,
        }
    }

    #[cfg(test)]
    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    fn shut(&mut self) -> Item {
        let dropped = self.held.drain(..).map(|h| h.item.len()).sum();
        self.count(dropped);
        self.cost = 0;
        self.is_shut = true;
        Item::Close
    }

    fn decided(&mut self) -> Option<Next> {
        if self.next.is_none() {
            self.next = self.decide();
        }
        self.next
    }

    fn decide(&mut self) -> Option<Next> {
        let Held { item, arrived } = self.held.front()?;
        let (len, arrived) = (item.len(), *arrived);
        let in_order = |at: Duration| at.max(self.free_at);
        Some(match self.toxic.kind {
            Kind::Latency { latency, jitter } => Next {
                len,
                due: Some(in_order(arrived + delay(latency, jitter, &mut self.rng))),
            },
            Kind::Bandwidth { rate: 0 } | Kind::ResetPeer { .. } => Next { len, due: None },
            Kind::Bandwidth { rate } => {
                let len = len.min(piece_len(rate));
                Next {
                    len,
                    due: Some(in_order(arrived) + time_of(len, rate)),
                }
            }
            Kind::SlowClose { delay } if len == 0 => Next {
                len,
                due: Some(in_order(arrived + delay)),
            },
            Kind::Slicer {
                average_size,
                size_variation,
                ..
            } => Next {
                len: slice(len, average_size, size_variation, &mut self.rng),
                due: Some(in_order(arrived)),
            },
            Kind::LimitData { bytes } => {
                let left = usize::try_from(bytes.saturating_sub(self.passed)).unwrap_or(usize::MAX);
                Next {
                    len: len.min(left),
                    due: Some(in_order(arrived)),
                }
            }
            Kind::Noop | Kind::SlowClose { .. } | Kind::Timeout { .. } => Next {
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

/// `latency` ± `jitter`, evenly, to the microsecond, and never less than nothing.
fn delay(latency: Duration, jitter: Duration, rng: &mut ChaCha8Rng) -> Duration {
    if jitter.is_zero() {
        return latency;
    }
    let width = u64::try_from(2 * jitter.as_micros()).unwrap_or(u64::MAX);
    (latency + Duration::from_micros(rng.random_range(0..=width))).saturating_sub(jitter)
}

/// The most bytes given out at a time, at `rate` kilobytes a second.
fn piece_len(rate: u64) -> usize {
    let per_ms = usize::try_from(rate).unwrap_or(usize::MAX);
    per_ms.saturating_mul(PIECE.as_millis() as usize)
}

/// How long `len` bytes take at `rate` kilobytes a second, which is bytes a millisecond.
fn time_of(len: usize, rate: u64) -> Duration {
    Duration::from_nanos((len as u64).saturating_mul(1_000_000) / rate)
}

/// The length of the next piece of `len` bytes: around `average`, at least 1. A last piece within the variation is not
/// cut again, so that no crumbs are left.
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
    fn jitter_is_even_around_the_latency_and_never_negative() {
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
    fn slices_are_around_their_average_and_leave_no_crumbs() {
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
            let held = cut
                .iter()
                .all(|p| (least..=average + variation).contains(p));
            assert!(held, "{average} ± {variation}: {pieces:?}");
        }
    }

    #[test]
    fn a_rate_is_in_thousands_of_bytes_a_second() {
        assert_eq!(time_of(1000, 1), Duration::from_secs(1));
        assert_eq!(time_of(500, 1000), Duration::from_micros(500));
        assert_eq!(piece_len(100), 1000);
    }
}
