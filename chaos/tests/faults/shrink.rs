//! The search for the fewest faults: it always ends, always with something that breaks, and from that nothing more can
//! be left out.

use std::collections::BTreeSet;

use chaos::Shrink;
use proptest::prelude::*;

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Runs a search to its end, and gives what it found and how often it tried.
fn search(
    n: usize,
    breaks: impl Fn(&[usize]) -> bool,
    whole: impl Fn(&[usize]) -> Vec<usize>,
) -> (Vec<usize>, usize) {
    let mut shrink = Shrink::new(n);
    let mut tried = BTreeSet::new();
    while let Some(part) = shrink.next(&whole) {
        assert!(tried.insert(part.clone()), "{part:?} was tried twice");
        assert!(tried.len() < 100_000);
        shrink.answer(breaks(&part));
    }
    (shrink.fewest().to_vec(), tried.len())
}

fn as_is(part: &[usize]) -> Vec<usize> {
    part.to_vec()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn when_some_faults_together_are_to_blame_exactly_these_are_found(
        n in 1usize..40,
        picks in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
    ) {
        let guilty: BTreeSet<usize> = picks.iter().map(|i| i.index(n)).collect();
        let (found, _) = search(n, |part| guilty.iter().all(|g| part.contains(g)), as_is);
        prop_assert_eq!(found, guilty.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn whatever_breaks_it_nothing_that_is_left_can_be_left_out(n in 1usize..14, table: u64) {
        // An arbitrary answer for each part, except for those that are known.
        let breaks = |part: &[usize]| {
            let bits = part.iter().fold(0u64, |bits, i| bits | 1 << i);
            part.len() == n || (!part.is_empty() && (table ^ bits).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62 == 0)
        };
        let (found, _) = search(n, breaks, as_is);
        prop_assert!(breaks(&found));
        for out in &found {
            let rest: Vec<usize> = found.iter().copied().filter(|i| i != out).collect();
            prop_assert!(!breaks(&rest), "{:?} without {} still breaks", found, out);
        }
    }

    #[test]
    fn parts_that_cannot_stand_alone_are_never_tried(n in 2usize..20, guilty: prop::sample::Index) {
        let guilty = guilty.index(n);
        // Each fault is chained to the one before it.
        let whole = |part: &[usize]| -> Vec<usize> {
            part.iter().copied().enumerate().take_while(|(at, i)| at == i).map(|(_, i)| i).collect()
        };
        let (found, _) = search(n, |part| {
            assert_eq!(whole(part), part);
            part.contains(&guilty)
        }, whole);
        prop_assert_eq!(found, (0..=guilty).collect::<Vec<_>>());
    }
}

#[test]
fn one_guilty_fault_of_many_is_found_in_few_tries() {
    let (found, tries) = search(32, |part| part.contains(&19), as_is);
    assert_eq!(found, [19]);
    assert!(tries <= 12, "{tries}");
}

#[test]
fn cut_short_it_knows_the_fewest_so_far() {
    let mut shrink = Shrink::new(8);
    let first = shrink.next(as_is).unwrap();
    assert_eq!(first, [0, 1, 2, 3]);
    shrink.answer(true);
    assert_eq!(shrink.fewest(), first);
}
