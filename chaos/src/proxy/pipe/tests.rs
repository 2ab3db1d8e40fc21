//! What goes when, without a clock and without a socket.

use bytes::Bytes;

use super::*;
use crate::proxy::toxic::Kind;
use crate::proxy::toxics::Hits;
use crate::proxy::toxics::testing::active;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn kind(name: &str, attributes: &[(&str, u64)]) -> Kind {
    let mut kind = Kind::named(name).unwrap();
    for (attribute, value) in attributes {
        kind.set(attribute, *value);
    }
    kind
}

fn latency(ms: u64) -> Kind {
    kind("latency", &[("latency", ms)])
}

/// A pipe, its toxics, and all that came out of it with the time at which it did.
struct Bench {
    pipe: Pipe,
    toxics: Vec<Arc<Active>>,
    out: Vec<(Duration, Item)>,
    /// The connection was closed or reset: nobody drives the pipe any more.
    is_over: bool,
}

impl Bench {
    fn new(kinds: &[Kind]) -> Self {
        let toxics = kinds.iter().zip(1..).map(|(kind, id)| active(id, *kind));
        let mut bench = Self {
            pipe: Pipe::new(0),
            toxics: toxics.collect(),
            out: vec![],
            is_over: false,
        };
        bench.arrange(0);
        bench
    }

    fn arrange(&mut self, at: u64) {
        self.pipe.arrange(ms(at), &self.toxics);
        self.take(ms(at));
    }

    fn change(&mut self, at: u64, index: usize, kind: Kind) {
        let mut toxic = Active::clone(&self.toxics[index]);
        toxic.kind = kind;
        self.toxics[index] = Arc::new(toxic);
        self.arrange(at);
    }

    fn data(&mut self, at: u64, bytes: usize) {
        self.push(at, Item::Data(Bytes::from(vec![7; bytes])));
    }

    fn push(&mut self, at: u64, item: Item) {
        self.until(at);
        self.pipe.push(item, ms(at));
        self.take(ms(at));
    }

    /// As a driver with a perfect timer does it.
    fn until(&mut self, at: u64) {
        while !self.is_over
            && let Some(due) = self.pipe.due().filter(|due| *due <= ms(at))
        {
            self.take(due);
        }
    }

    fn take(&mut self, now: Duration) {
        while !self.is_over {
            self.pipe.advance(now);
            let Some(item) = self.pipe.ready().cloned() else {
                return;
            };
            match &item {
                Item::Data(data) => self.pipe.written(data.len()),
                _ => {
                    self.pipe.ready.pop_front();
                }
            }
            self.is_over = matches!(item, Item::Close | Item::Reset);
            self.out.push((now, item));
        }
    }

    fn times(&self) -> Vec<u128> {
        self.out.iter().map(|(at, _)| at.as_millis()).collect()
    }

    fn bytes(&self) -> usize {
        self.out.iter().map(|(_, item)| item.len()).sum()
    }

    fn last(&self) -> Option<&Item> {
        self.out.last().map(|(_, item)| item)
    }

    fn hits(&self, index: usize) -> (u64, u64) {
        let Hits { connections, bytes } = self.toxics[index].hits.get();
        (connections, bytes)
    }
}

#[test]
fn without_toxics_everything_goes_at_once_and_in_order() {
    let mut bench = Bench::new(&[]);
    bench.data(1, 10);
    bench.data(2, 20);
    bench.push(2, Item::End);
    assert_eq!(bench.times(), [1, 2, 2]);
    assert_eq!(bench.last(), Some(&Item::End));
    assert_eq!(bench.pipe.due(), None);
}

#[test]
fn latency_delays_each_chunk_and_not_the_one_behind_it() {
    let mut bench = Bench::new(&[latency(100)]);
    for at in [0, 10, 20] {
        bench.data(at, 1000);
    }
    bench.push(25, Item::End);
    bench.until(1000);
    assert_eq!(bench.times(), [100, 110, 120, 125]);
    assert_eq!(bench.hits(0), (1, 3000));
}

#[test]
fn jitter_never_changes_the_order_of_bytes() {
    let mut bench = Bench::new(&[kind("latency", &[("latency", 50), ("jitter", 50)])]);
    for at in 0..100 {
        bench.push(at, Item::Data(Bytes::from(vec![at as u8])));
    }
    bench.until(1000);
    let order: Vec<u8> = bench
        .out
        .iter()
        .map(|(_, item)| match item {
            Item::Data(data) => data[0],
            _ => panic!("only data went in"),
        })
        .collect();
    assert_eq!(order, (0..100).collect::<Vec<u8>>());
    let times = bench.times();
    assert!(times.is_sorted());
    assert!((0..100).all(|n| (n..=n + 200).contains(&(times[n as usize] as u64))));
}

#[test]
fn latencies_in_a_chain_add_up() {
    let mut bench = Bench::new(&[latency(30), latency(12)]);
    bench.data(5, 1);
    bench.until(1000);
    assert_eq!(bench.times(), [47]);
}

#[test]
fn a_late_timer_delays_one_chunk_and_not_the_next_toxic() {
    let mut bench = Bench::new(&[latency(30), latency(12)]);
    bench.data(0, 1);
    // Nobody came at 30; the second delay counts from there all the same.
    bench.take(ms(41));
    assert!(bench.out.is_empty());
    bench.take(ms(42));
    assert_eq!(bench.times(), [42]);
}

#[test]
fn a_changed_latency_counts_for_what_waits_and_a_removed_one_lets_it_go() {
    let mut bench = Bench::new(&[latency(1000)]);
    bench.data(0, 1);
    bench.change(10, 0, latency(50));
    bench.until(2000);
    assert_eq!(bench.times(), [50]);
    bench.change(2000, 0, latency(1000));
    bench.data(2000, 1);
    bench.data(2001, 1);
    bench.toxics.clear();
    bench.arrange(2100);
    assert_eq!(bench.times(), [50, 2100, 2100]);
    bench.data(2200, 1);
    assert_eq!(bench.times(), [50, 2100, 2100, 2200]);
}

#[test]
fn what_a_removed_toxic_lets_go_stays_behind_what_was_ahead_of_it() {
    let mut bench = Bench::new(&[latency(100), latency(100)]);
    bench.push(0, Item::Data(Bytes::from_static(b"a")));
    bench.push(60, Item::Data(Bytes::from_static(b"b")));
    // a is in the second, b in the first.
    bench.until(120);
    bench.toxics.remove(0);
    bench.arrange(120);
    bench.until(1000);
    let (a, b) = (Item::Data("a".into()), Item::Data("b".into()));
    assert_eq!(bench.out, [(ms(200), a), (ms(220), b)]);
}

#[test]
fn a_toxic_that_is_added_meets_what_comes_after_it() {
    let mut bench = Bench::new(&[]);
    bench.data(0, 1);
    bench.toxics.push(active(1, latency(40)));
    bench.arrange(10);
    bench.data(10, 1);
    bench.until(1000);
    assert_eq!(bench.times(), [0, 50]);
}

#[test]
fn bandwidth_gives_out_its_rate_evenly() {
    let mut bench = Bench::new(&[kind("bandwidth", &[("rate", 100)])]);
    bench.data(0, 100_000);
    bench.until(500);
    assert_eq!(bench.bytes(), 50_000);
    assert!(bench.out.iter().all(|(_, item)| item.len() == 1000));
    bench.until(1000);
    assert_eq!(bench.bytes(), 100_000);
    // What was not used is not saved up.
    bench.data(5000, 1000);
    bench.until(5009);
    assert_eq!(bench.bytes(), 100_000);
    bench.until(5010);
    assert_eq!(bench.bytes(), 101_000);
    assert_eq!(bench.hits(0), (1, 101_000));
}

#[test]
fn no_bandwidth_lets_nothing_through_until_it_is_changed() {
    let mut bench = Bench::new(&[kind("bandwidth", &[])]);
    bench.data(0, 100);
    bench.until(1_000_000);
    assert!(bench.out.is_empty() && bench.pipe.due().is_none());
    assert_eq!(bench.hits(0), (1, 100));
    bench.change(1_000_000, 0, kind("bandwidth", &[("rate", 10)]));
    bench.until(1_000_010);
    assert_eq!(bench.bytes(), 100);
}

#[test]
fn latency_does_not_lower_a_rate() {
    let mut bench = Bench::new(&[latency(500), kind("bandwidth", &[("rate", 1000)])]);
    for at in 0..1500 {
        bench.data(at, 1000);
    }
    bench.until(1500);
    // The first kilobyte takes its millisecond after the delay; from then on one comes out in each.
    assert_eq!(bench.bytes(), 1_000_000);
}

#[test]
fn a_limited_rate_makes_the_sender_wait() {
    let mut bench = Bench::new(&[kind("bandwidth", &[("rate", 50)])]);
    while bench.pipe.room() > 0 {
        let room = bench.pipe.room();
        bench.data(0, room.min(1000));
    }
    // A fifth of a second of it, and no more.
    assert!((9_000..=10_100).contains(&bench.pipe.stages[0].cost()));
    bench.until(100);
    assert!(bench.pipe.room() > 0);
}

#[test]
fn a_receiver_that_takes_nothing_makes_the_sender_wait_whatever_the_toxics() {
    for name in Kind::NAMES {
        let mut attributes = vec![("average_size", 100)];
        if name == "limit_data" {
            attributes.push(("bytes", 1 << 40));
        }
        let mut pipe = Pipe::new(0);
        pipe.arrange(ms(0), &[active(1, kind(name, &attributes))]);
        let mut taken = 0;
        for _ in 0..100_000 {
            let len = pipe.room().min(1000);
            if len == 0 || taken > 64 << 20 {
                break;
            }
            pipe.push(Item::Data(Bytes::from(vec![0; len])), ms(0));
            // Long after everything is due, but nothing is written.
            pipe.advance(ms(10_000));
            taken += len;
        }
        // Only what drops its data takes any amount of it.
        assert_eq!(taken > 16 << 20, name == "timeout", "{name}: {taken}");
    }
}

#[test]
fn a_slow_close_delays_the_end_and_nothing_else() {
    let mut bench = Bench::new(&[kind("slow_close", &[("delay", 70)])]);
    bench.data(1, 5);
    assert_eq!(bench.hits(0), (0, 0));
    bench.push(2, Item::End);
    bench.until(1000);
    assert_eq!(bench.times(), [1, 72]);
    assert_eq!(bench.hits(0), (1, 0));
}

#[test]
fn a_timeout_drops_everything_and_closes_in_its_time() {
    let mut bench = Bench::new(&[kind("timeout", &[("timeout", 100)])]);
    bench.data(10, 5);
    bench.data(90, 5);
    bench.until(1000);
    assert_eq!(bench.out, [(ms(100), Item::Close)]);
    assert_eq!(bench.hits(0), (1, 10));
}

#[test]
fn a_timeout_of_0_waits_for_the_toxic_or_the_sender_to_end() {
    for is_removed in [true, false] {
        let mut bench = Bench::new(&[kind("timeout", &[])]);
        bench.data(10, 5);
        bench.until(100_000);
        assert!(bench.out.is_empty() && bench.pipe.due().is_none());
        if is_removed {
            bench.toxics.clear();
            bench.arrange(100_000);
        } else {
            bench.push(100_000, Item::End);
        }
        assert_eq!(bench.out, [(ms(100_000), Item::Close)]);
    }
}

#[test]
fn a_reset_comes_in_its_time_and_overtakes_what_waits() {
    let mut bench = Bench::new(&[kind("reset_peer", &[("timeout", 100)]), latency(1000)]);
    bench.data(10, 5);
    bench.until(10_000);
    assert_eq!(bench.out, [(ms(100), Item::Reset)]);
    assert_eq!(bench.hits(0), (1, 5));
}

#[test]
fn a_reset_that_is_called_off_loses_nothing() {
    let mut bench = Bench::new(&[kind("reset_peer", &[("timeout", 100)])]);
    bench.data(10, 5);
    bench.toxics.clear();
    bench.arrange(99);
    bench.until(10_000);
    assert_eq!((bench.times(), bench.bytes()), (vec![99], 5));
}

#[test]
fn an_idle_connection_is_reset_and_counted_too() {
    let mut bench = Bench::new(&[]);
    bench.toxics.push(active(1, kind("reset_peer", &[])));
    bench.arrange(50);
    assert_eq!(bench.out, [(ms(50), Item::Reset)]);
    assert_eq!(bench.hits(0), (1, 0));
}

#[test]
fn slices_go_one_by_one_with_a_pause_between() {
    // The pause is in microseconds.
    let slicer = kind("slicer", &[("average_size", 10), ("delay", 3000)]);
    let mut bench = Bench::new(&[slicer]);
    bench.data(0, 35);
    bench.until(1000);
    assert_eq!(bench.times(), [0, 3, 6, 9]);
    let sizes: Vec<_> = bench.out.iter().map(|(_, item)| item.len()).collect();
    assert_eq!(sizes, [10, 10, 10, 5]);
    assert_eq!(bench.hits(0).0, 1);
}

#[test]
fn limit_data_passes_exactly_so_much_and_closes() {
    let mut bench = Bench::new(&[kind("limit_data", &[("bytes", 100)])]);
    bench.data(1, 60);
    assert_eq!(bench.hits(0), (0, 0));
    bench.data(2, 60);
    assert_eq!(bench.bytes(), 100);
    assert_eq!(bench.last(), Some(&Item::Close));
    assert_eq!(bench.hits(0), (1, 20));
}

#[test]
fn limit_data_closes_when_its_last_byte_has_passed() {
    let mut bench = Bench::new(&[kind("limit_data", &[("bytes", 100)])]);
    bench.data(1, 100);
    assert_eq!((bench.bytes(), bench.last()), (100, Some(&Item::Close)));
    let mut nothing = Bench::new(&[kind("limit_data", &[])]);
    nothing.until(100);
    assert!(nothing.out.is_empty());
    nothing.data(100, 1);
    assert_eq!(nothing.out, [(ms(100), Item::Close)]);
}

#[test]
fn the_sender_s_reset_comes_after_what_it_sent() {
    let mut bench = Bench::new(&[latency(100)]);
    bench.data(0, 5);
    bench.push(1, Item::Reset);
    bench.until(1000);
    assert_eq!(bench.times(), [100, 101]);
    assert_eq!(bench.last(), Some(&Item::Reset));
}

#[test]
fn a_connection_keeps_its_lot_through_edits() {
    let share = |toxicity| {
        let mut toxic = Active::clone(&active(1, latency(10)));
        toxic.toxicity = toxicity;
        Arc::new(toxic)
    };
    let touched = |toxics: &[Arc<Active>], pipe: &mut Pipe| {
        pipe.arrange(ms(0), toxics);
        pipe.stages.iter().any(|s| s.id() == 1)
    };
    for connection in 0..200 {
        let mut pipe = Pipe::new(connection);
        let half = touched(&[share(0.5)], &mut pipe);
        for _ in 0..5 {
            assert_eq!(
                touched(&[active(2, latency(1)), share(0.5)], &mut pipe),
                half
            );
            assert_eq!(touched(&[share(0.5)], &mut pipe), half);
        }
        assert!(touched(&[share(1.0)], &mut pipe));
        assert!(!touched(&[share(0.0)], &mut pipe));
        assert_eq!(touched(&[share(0.5)], &mut pipe), half);
    }
}
