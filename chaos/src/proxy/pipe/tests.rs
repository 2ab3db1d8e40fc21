//! Toxics in a pipe, without a clock and without sockets.

use bytes::Bytes;

use super::*;
use crate::proxy::toxic::ToxicKind;
use crate::proxy::toxics::Hits;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn kind(name: &str, attributes: &[(&str, u64)]) -> ToxicKind {
    let mut kind = ToxicKind::named(name).unwrap();
    for (attribute, value) in attributes {
        kind.set(attribute, *value);
    }
    kind
}

fn latency(ms: u64) -> ToxicKind {
    kind("latency", &[("latency", ms)])
}

/// A pipe with its toxics, and all items that came out of it with their times.
struct PipeHarness {
    pipe: Pipe,
    toxics: Vec<Arc<ActiveToxic>>,
    out: Vec<(Duration, Item)>,
    /// The connection was closed or reset, so the pipe is not driven any more.
    is_over: bool,
}

impl PipeHarness {
    fn new(kinds: &[ToxicKind]) -> Self {
        let toxics = kinds
            .iter()
            .zip(1..)
            .map(|(kind, id)| ActiveToxic::on_all(id, *kind));
        let mut harness = Self {
            pipe: Pipe::new(0),
            toxics: toxics.collect(),
            out: vec![],
            is_over: false,
        };
        harness.update_toxics(0);
        harness
    }

    fn update_toxics(&mut self, at: u64) {
        self.pipe.set_toxics(ms(at), &self.toxics);
        self.take(ms(at));
    }

    fn change(&mut self, at: u64, index: usize, kind: ToxicKind) {
        let mut toxic = ActiveToxic::clone(&self.toxics[index]);
        toxic.kind = kind;
        self.toxics[index] = Arc::new(toxic);
        self.update_toxics(at);
    }

    fn data(&mut self, at: u64, bytes: usize) {
        self.push(at, Item::Data(Bytes::from(vec![7; bytes])));
    }

    fn push(&mut self, at: u64, item: Item) {
        self.until(at);
        self.pipe.push(item, ms(at));
        self.take(ms(at));
    }

    /// Drives the pipe with a perfect timer.
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
fn without_toxics_data_passes_at_once_and_in_order() {
    let mut harness = PipeHarness::new(&[]);
    harness.data(1, 10);
    harness.data(2, 20);
    harness.push(2, Item::End);
    assert_eq!(harness.times(), [1, 2, 2]);
    assert_eq!(harness.last(), Some(&Item::End));
    assert_eq!(harness.pipe.due(), None);
}

#[test]
fn latency_delays_each_chunk_by_itself() {
    let mut harness = PipeHarness::new(&[latency(100)]);
    for at in [0, 10, 20] {
        harness.data(at, 1000);
    }
    harness.push(25, Item::End);
    harness.until(1000);
    assert_eq!(harness.times(), [100, 110, 120, 125]);
    assert_eq!(harness.hits(0), (1, 3000));
}

#[test]
fn jitter_never_changes_the_order_of_bytes() {
    let mut harness = PipeHarness::new(&[kind("latency", &[("latency", 50), ("jitter", 50)])]);
    for at in 0..100 {
        harness.push(at, Item::Data(Bytes::from(vec![at as u8])));
    }
    harness.until(1000);
    let order: Vec<u8> = harness
        .out
        .iter()
        .map(|(_, item)| match item {
            Item::Data(data) => data[0],
            _ => panic!("only data went in"),
        })
        .collect();
    assert_eq!(order, (0..100).collect::<Vec<u8>>());
    let times = harness.times();
    assert!(times.is_sorted());
    assert!((0..100).all(|n| (n..=n + 200).contains(&(times[n as usize] as u64))));
}

#[test]
fn latencies_in_a_chain_add_up() {
    let mut harness = PipeHarness::new(&[latency(30), latency(12)]);
    harness.data(5, 1);
    harness.until(1000);
    assert_eq!(harness.times(), [47]);
}

#[test]
fn a_late_timer_delays_one_chunk_and_not_the_next_toxic() {
    let mut harness = PipeHarness::new(&[latency(30), latency(12)]);
    harness.data(0, 1);
    // The pipe was not driven at 30, but the second delay counts from then.
    harness.take(ms(41));
    assert!(harness.out.is_empty());
    harness.take(ms(42));
    assert_eq!(harness.times(), [42]);
}

#[test]
fn a_changed_latency_applies_to_waiting_data_and_a_removed_one_releases_it() {
    let mut harness = PipeHarness::new(&[latency(1000)]);
    harness.data(0, 1);
    harness.change(10, 0, latency(50));
    harness.until(2000);
    assert_eq!(harness.times(), [50]);
    harness.change(2000, 0, latency(1000));
    harness.data(2000, 1);
    harness.data(2001, 1);
    harness.toxics.clear();
    harness.update_toxics(2100);
    assert_eq!(harness.times(), [50, 2100, 2100]);
    harness.data(2200, 1);
    assert_eq!(harness.times(), [50, 2100, 2100, 2200]);
}

#[test]
fn data_released_by_a_removed_toxic_keeps_its_order() {
    let mut harness = PipeHarness::new(&[latency(100), latency(100)]);
    harness.push(0, Item::Data(Bytes::from_static(b"a")));
    harness.push(60, Item::Data(Bytes::from_static(b"b")));
    // a is in the second toxic, b in the first.
    harness.until(120);
    harness.toxics.remove(0);
    harness.update_toxics(120);
    harness.until(1000);
    let (a, b) = (Item::Data("a".into()), Item::Data("b".into()));
    assert_eq!(harness.out, [(ms(200), a), (ms(220), b)]);
}

#[test]
fn an_added_toxic_affects_later_data() {
    let mut harness = PipeHarness::new(&[]);
    harness.data(0, 1);
    harness.toxics.push(ActiveToxic::on_all(1, latency(40)));
    harness.update_toxics(10);
    harness.data(10, 1);
    harness.until(1000);
    assert_eq!(harness.times(), [0, 50]);
}

#[test]
fn bandwidth_passes_data_on_at_an_even_rate() {
    let mut harness = PipeHarness::new(&[kind("bandwidth", &[("rate", 100)])]);
    harness.data(0, 100_000);
    harness.until(500);
    assert_eq!(harness.bytes(), 50_000);
    assert!(harness.out.iter().all(|(_, item)| item.len() == 1000));
    harness.until(1000);
    assert_eq!(harness.bytes(), 100_000);
    // Unused bandwidth does not accumulate.
    harness.data(5000, 1000);
    harness.until(5009);
    assert_eq!(harness.bytes(), 100_000);
    harness.until(5010);
    assert_eq!(harness.bytes(), 101_000);
    assert_eq!(harness.hits(0), (1, 101_000));
}

#[test]
fn a_bandwidth_of_0_passes_nothing_until_it_is_changed() {
    let mut harness = PipeHarness::new(&[kind("bandwidth", &[])]);
    harness.data(0, 100);
    harness.until(1_000_000);
    assert!(harness.out.is_empty() && harness.pipe.due().is_none());
    assert_eq!(harness.hits(0), (1, 100));
    harness.change(1_000_000, 0, kind("bandwidth", &[("rate", 10)]));
    harness.until(1_000_010);
    assert_eq!(harness.bytes(), 100);
}

#[test]
fn latency_does_not_lower_a_rate() {
    let mut harness = PipeHarness::new(&[latency(500), kind("bandwidth", &[("rate", 1000)])]);
    for at in 0..1500 {
        harness.data(at, 1000);
    }
    harness.until(1500);
    // The first kilobyte takes a millisecond after the delay; then one comes out each millisecond.
    assert_eq!(harness.bytes(), 1_000_000);
}

#[test]
fn a_limited_rate_makes_the_sender_wait() {
    let mut harness = PipeHarness::new(&[kind("bandwidth", &[("rate", 50)])]);
    while harness.pipe.free_bytes() > 0 {
        let free = harness.pipe.free_bytes();
        harness.data(0, free.min(1000));
    }
    // 200 ms of data at most.
    assert!((9_000..=10_100).contains(&harness.pipe.stages[0].cost()));
    harness.until(100);
    assert!(harness.pipe.free_bytes() > 0);
}

#[test]
fn a_blocked_receiver_makes_the_sender_wait_with_every_toxic() {
    for name in ToxicKind::NAMES {
        let mut attributes = vec![("average_size", 100)];
        if name == "limit_data" {
            attributes.push(("bytes", 1 << 40));
        }
        let mut pipe = Pipe::new(0);
        pipe.set_toxics(ms(0), &[ActiveToxic::on_all(1, kind(name, &attributes))]);
        let mut taken = 0;
        for _ in 0..100_000 {
            let len = pipe.free_bytes().min(1000);
            if len == 0 || taken > 64 << 20 {
                break;
            }
            pipe.push(Item::Data(Bytes::from(vec![0; len])), ms(0));
            // Everything has been due for long, but nothing is written.
            pipe.advance(ms(10_000));
            taken += len;
        }
        // Only a toxic that drops data takes any amount of it.
        assert_eq!(taken > 16 << 20, name == "timeout", "{name}: {taken}");
    }
}

#[test]
fn a_slow_close_delays_only_the_end() {
    let mut harness = PipeHarness::new(&[kind("slow_close", &[("delay", 70)])]);
    harness.data(1, 5);
    assert_eq!(harness.hits(0), (0, 0));
    harness.push(2, Item::End);
    harness.until(1000);
    assert_eq!(harness.times(), [1, 72]);
    assert_eq!(harness.hits(0), (1, 0));
}

#[test]
fn a_timeout_drops_all_data_and_closes_when_it_is_over() {
    let mut harness = PipeHarness::new(&[kind("timeout", &[("timeout", 100)])]);
    harness.data(10, 5);
    harness.data(90, 5);
    harness.until(1000);
    assert_eq!(harness.out, [(ms(100), Item::Close)]);
    assert_eq!(harness.hits(0), (1, 10));
}

#[test]
fn a_timeout_of_0_closes_when_the_toxic_or_the_sender_ends() {
    for is_removed in [true, false] {
        let mut harness = PipeHarness::new(&[kind("timeout", &[])]);
        harness.data(10, 5);
        harness.until(100_000);
        assert!(harness.out.is_empty() && harness.pipe.due().is_none());
        if is_removed {
            harness.toxics.clear();
            harness.update_toxics(100_000);
        } else {
            harness.push(100_000, Item::End);
        }
        assert_eq!(harness.out, [(ms(100_000), Item::Close)]);
    }
}

#[test]
fn a_reset_comes_after_its_timeout_and_overtakes_waiting_data() {
    let mut harness = PipeHarness::new(&[kind("reset_peer", &[("timeout", 100)]), latency(1000)]);
    harness.data(10, 5);
    harness.until(10_000);
    assert_eq!(harness.out, [(ms(100), Item::Reset)]);
    assert_eq!(harness.hits(0), (1, 5));
}

#[test]
fn a_removed_reset_loses_no_data() {
    let mut harness = PipeHarness::new(&[kind("reset_peer", &[("timeout", 100)])]);
    harness.data(10, 5);
    harness.toxics.clear();
    harness.update_toxics(99);
    harness.until(10_000);
    assert_eq!((harness.times(), harness.bytes()), (vec![99], 5));
}

#[test]
fn an_idle_connection_is_reset_and_counted_too() {
    let mut harness = PipeHarness::new(&[]);
    harness
        .toxics
        .push(ActiveToxic::on_all(1, kind("reset_peer", &[])));
    harness.update_toxics(50);
    assert_eq!(harness.out, [(ms(50), Item::Reset)]);
    assert_eq!(harness.hits(0), (1, 0));
}

#[test]
fn slices_go_one_by_one_with_a_pause_between() {
    // The pause is in microseconds.
    let slicer = kind("slicer", &[("average_size", 10), ("delay", 3000)]);
    let mut harness = PipeHarness::new(&[slicer]);
    harness.data(0, 35);
    harness.until(1000);
    assert_eq!(harness.times(), [0, 3, 6, 9]);
    let sizes: Vec<_> = harness.out.iter().map(|(_, item)| item.len()).collect();
    assert_eq!(sizes, [10, 10, 10, 5]);
    assert_eq!(harness.hits(0).0, 1);
}

#[test]
fn limit_data_passes_exactly_its_bytes_and_closes() {
    let mut harness = PipeHarness::new(&[kind("limit_data", &[("bytes", 100)])]);
    harness.data(1, 60);
    assert_eq!(harness.hits(0), (0, 0));
    harness.data(2, 60);
    assert_eq!(harness.bytes(), 100);
    assert_eq!(harness.last(), Some(&Item::Close));
    assert_eq!(harness.hits(0), (1, 20));
}

#[test]
fn limit_data_closes_when_its_last_byte_has_passed() {
    let mut harness = PipeHarness::new(&[kind("limit_data", &[("bytes", 100)])]);
    harness.data(1, 100);
    assert_eq!((harness.bytes(), harness.last()), (100, Some(&Item::Close)));
    let mut nothing = PipeHarness::new(&[kind("limit_data", &[])]);
    nothing.until(100);
    assert!(nothing.out.is_empty());
    nothing.data(100, 1);
    assert_eq!(nothing.out, [(ms(100), Item::Close)]);
}

#[test]
fn a_reset_by_the_sender_comes_after_its_data() {
    let mut harness = PipeHarness::new(&[latency(100)]);
    harness.data(0, 5);
    harness.push(1, Item::Reset);
    harness.until(1000);
    assert_eq!(harness.times(), [100, 101]);
    assert_eq!(harness.last(), Some(&Item::Reset));
}

#[test]
fn changes_of_toxics_do_not_change_the_selected_connections() {
    let share = |toxicity| {
        let mut toxic = ActiveToxic::clone(&ActiveToxic::on_all(1, latency(10)));
        toxic.toxicity = toxicity;
        Arc::new(toxic)
    };
    let selected = |toxics: &[Arc<ActiveToxic>], pipe: &mut Pipe| {
        pipe.set_toxics(ms(0), toxics);
        pipe.stages.iter().any(|s| s.id() == 1)
    };
    for connection in 0..200 {
        let mut pipe = Pipe::new(connection);
        let half = selected(&[share(0.5)], &mut pipe);
        for _ in 0..5 {
            assert_eq!(
                selected(&[ActiveToxic::on_all(2, latency(1)), share(0.5)], &mut pipe),
                half
            );
            assert_eq!(selected(&[share(0.5)], &mut pipe), half);
        }
        assert!(selected(&[share(1.0)], &mut pipe));
        assert!(!selected(&[share(0.0)], &mut pipe));
        assert_eq!(selected(&[share(0.5)], &mut pipe), half);
    }
}
