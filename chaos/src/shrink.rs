//! Finds a small set of faults that still breaks the expectations: delta debugging (ddmin of Zeller and Hildebrandt,
//! "Simplifying and isolating failure-inducing input", 2002). Pure: it proposes the next subset and is given its
//! result.
//!
//! The result is a subset that still fails. Unless the search was cut short, no single fault can be removed from it.
//! It need not be the smallest one: finding that takes a try for each subset.

use std::collections::BTreeMap;

/// The search for a small failing subset of `n` things.
#[derive(Debug, Clone)]
pub struct Shrink {
    /// The smallest subset known to fail, in order.
    smallest: Vec<usize>,
    /// The number of chunks that it is split into.
    chunks: usize,
    /// The subsets to try in this round, in reverse.
    round: Vec<Vec<usize>>,
    /// The subsets already tried, and whether each failed.
    tried: BTreeMap<Vec<usize>, bool>,
    /// The subset whose result is awaited.
    pending: Option<Vec<usize>>,
}

impl Shrink {
    /// A search among the things 0 to `n` - 1. All together are known to fail; none at all is known to pass.
    pub fn new(n: usize) -> Self {
        let smallest: Vec<usize> = (0..n).collect();
        let tried = [(Vec::new(), false), (smallest.clone(), true)].into();
        let mut shrink = Self {
            smallest,
            chunks: 2,
            round: Vec::new(),
            tried,
            pending: None,
        };
        shrink.begin_round();
        shrink
    }

    /// The next subset to try; `None` when the search is complete.
    ///
    /// `close` makes a subset valid: it removes the things that depend on one outside the subset.
    pub fn next(&mut self, close: impl Fn(&[usize]) -> Vec<usize>) -> Option<Vec<usize>> {
        loop {
            let Some(subset) = self.round.pop() else {
                // Split finer, until each chunk is one thing.
                if self.chunks >= self.smallest.len() {
                    return None;
                }
                self.chunks = (self.chunks * 2).min(self.smallest.len());
                self.begin_round();
                continue;
            };
            let subset = close(&subset);
            if subset.len() >= self.smallest.len() {
                continue;
            }
            match self.tried.get(&subset) {
                Some(true) => self.reduce_to(subset),
                Some(false) => {}
                None => {
                    self.pending = Some(subset.clone());
                    return Some(subset);
                }
            }
        }
    }

    /// Whether the subset from the last [`Shrink::next`] failed. One without a clear result counts as passed.
    pub fn answer(&mut self, failed: bool) {
        let Some(subset) = self.pending.take() else {
            return;
        };
        self.tried.insert(subset.clone(), failed);
        if failed {
            self.reduce_to(subset);
        }
    }

    /// The smallest subset known to fail.
    pub fn fewest(&self) -> &[usize] {
        &self.smallest
    }

    fn reduce_to(&mut self, subset: Vec<usize>) {
        // After a complement failed, the remaining chunks keep their size.
        let size = self.smallest.len().div_ceil(self.chunks.max(1)).max(1);
        self.chunks = subset.len().div_ceil(size).max(2);
        self.smallest = subset;
        self.begin_round();
    }

    /// Each chunk alone, then everything without each chunk.
    fn begin_round(&mut self) {
        let size = self.smallest.len().div_ceil(self.chunks).max(1);
        let chunks: Vec<&[usize]> = self.smallest.chunks(size).collect();
        let without = |chunk: &&[usize]| -> Vec<usize> {
            let rest = self.smallest.iter().filter(|i| !chunk.contains(i));
            rest.copied().collect()
        };
        let alone = chunks.iter().map(|chunk| chunk.to_vec());
        let mut round: Vec<Vec<usize>> = alone.chain(chunks.iter().map(without)).collect();
        round.reverse();
        self.round = round;
    }
}
