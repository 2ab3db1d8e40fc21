//! The search for the fewest faults always ends, with a subset that fails and from which no fault can be removed.

use std::collections::BTreeSet;

use chaos::Shrink;
use proptest::prelude::*;

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Runs a search to its end. Returns the subset and the number of tries.
fn search(
    n: usize,
    fails: impl Fn(&[usize]) -> bool,
    close: impl Fn(&[usize]) -> Vec<usize>,
) -> (Vec<usize>, usize) {
    let mut shrink = Shrink::new(n);
    let mut tried = BTreeSet::new();
    while let Some(subset) = shrink.next(&close) {
        assert!(tried.insert(subset.clone()), "{subset:?} was tried twice");
        assert!(tried.len() < 100_000);
        shrink.answer(fails(&subset));
    }
    (shrink.fewest().to_vec(), tried.len())
}

fn as_is(subset: &[usize]) -> Vec<usize> {
    subset.to_vec()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_combination_of_faults_that_fails_is_found_exactly(
        n in 1usize..40,
        picks in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
    ) {
        let guilty: BTreeSet<usize> = picks.iter().map(|i| i.index(n)).collect();
        let (found, _) = search(n, |subset| guilty.iter().all(|g| subset.contains(g)), as_is);
        prop_assert_eq!(found, guilty.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn no_fault_can_be_removed_from_the_result(n in 1usize..14, table: u64) {
        // An arbitrary result for each subset, except for all and for none.
        let fails = |subset: &[usize]| {
            let bits = subset.iter().fold(0u64, |bits, i| bits | 1 << i);
            subset.len() == n || (!subset.is_empty() && (table ^ bits).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62 == 0)
        };
        let (found, _) = search(n, fails, as_is);
        prop_assert!(fails(&found));
        for out in &found {
            let rest: Vec<usize> = found.iter().copied().filter(|i| i != out).collect();
            prop_assert!(!fails(&rest), "{:?} without {} still fails", found, out);
        }
    }

    #[test]
    fn subsets_with_missing_dependencies_are_never_tried(n in 2usize..20, guilty: prop::sample::Index) {
        let guilty = guilty.index(n);
        // Each fault depends on the one before it.
        let close = |subset: &[usize]| -> Vec<usize> {
            subset.iter().copied().enumerate().take_while(|(at, i)| at == i).map(|(_, i)| i).collect()
        };
        let (found, _) = search(n, |subset| {
            assert_eq!(close(subset), subset);
            subset.contains(&guilty)
        }, close);
        prop_assert_eq!(found, (0..=guilty).collect::<Vec<_>>());
    }
}

#[test]
fn one_guilty_fault_of_many_is_found_in_few_tries() {
    let (found, tries) = search(32, |subset| subset.contains(&19), as_is);
    assert_eq!(found, [19]);
    assert!(tries <= 12, "{tries}");
}

#[test]
fn a_search_that_is_cut_short_has_the_smallest_subset_so_far() {
    let mut shrink = Shrink::new(8);
    let first = shrink.next(as_is).unwrap();
    assert_eq!(first, [0, 1, 2, 3]);
    shrink.answer(true);
    assert_eq!(shrink.fewest(), first);
}
