//! Which of many faults broke it: delta debugging (ddmin of Zeller and Hildebrandt, "Simplifying and isolating
//! failure-inducing input", 2002) over a list. Pure: it says which part to try next and is told how that went.
//!
//! The answer is a part that still breaks and, when the search was not cut short, of which no single fault can be left
//! out. It need not be the smallest of all: that would take a try for every part there is.

use std::collections::BTreeMap;

/// The search for the fewest of `n` things that still break something.
#[derive(Debug, Clone)]
pub struct Shrink {
    /// The fewest known to break it, in their order.
    kept: Vec<usize>,
    /// Into how many chunks they are cut.
    chunks: usize,
    /// What is to be tried in this round, the last first.
    round: Vec<Vec<usize>>,
    /// What was tried already, and whether it broke.
    tried: BTreeMap<Vec<usize>, bool>,
    asked: Option<Vec<usize>>,
}

impl Shrink {
    /// A search among things 0 to `n` - 1, all of which together are known to break it, and none of which not to.
    pub fn new(n: usize) -> Self {
        let kept: Vec<usize> = (0..n).collect();
        let tried = [(Vec::new(), false), (kept.clone(), true)].into();
        let mut shrink = Self {
            kept,
            chunks: 2,
            round: Vec::new(),
            tried,
            asked: None,
        };
        shrink.begin_round();
        shrink
    }

    /// The next part to try; `None` when there is none that could say more.
    ///
    /// `whole` makes a part one that can stand by itself, by leaving out what cannot do without what is not in it.
    pub fn next(&mut self, whole: impl Fn(&[usize]) -> Vec<usize>) -> Option<Vec<usize>> {
        loop {
            let Some(part) = self.round.pop() else {
                // Finer, until each chunk is one thing.
                if self.chunks >= self.kept.len() {
                    return None;
                }
                self.chunks = (self.chunks * 2).min(self.kept.len());
                self.begin_round();
                continue;
            };
            let part = whole(&part);
            if part.len() >= self.kept.len() {
                continue;
            }
            match self.tried.get(&part) {
                Some(true) => self.keep(part),
                Some(false) => {}
                None => {
                    self.asked = Some(part.clone());
                    return Some(part);
                }
            }
        }
    }

    /// How the part that was asked for last went. One that could not be judged counts as not broken.
    pub fn answer(&mut self, broke: bool) {
        let Some(part) = self.asked.take() else {
            return;
        };
        self.tried.insert(part.clone(), broke);
        if broke {
            self.keep(part);
        }
    }

    /// The fewest known to break it.
    pub fn fewest(&self) -> &[usize] {
        &self.kept
    }

    fn keep(&mut self, part: Vec<usize>) {
        // After a complement broke, the chunks that are left stay as large as they are.
        let size = self.kept.len().div_ceil(self.chunks.max(1)).max(1);
        self.chunks = part.len().div_ceil(size).max(2);
        self.kept = part;
        self.begin_round();
    }

    /// Each chunk alone, then all but each chunk.
    fn begin_round(&mut self) {
        let size = self.kept.len().div_ceil(self.chunks).max(1);
        let chunks: Vec<&[usize]> = self.kept.chunks(size).collect();
        let but = |out: &&[usize]| -> Vec<usize> {
            let left = self.kept.iter().filter(|i| !out.contains(i));
            left.copied().collect()
        };
        let alone = chunks.iter().map(|chunk| chunk.to_vec());
        let mut round: Vec<Vec<usize>> = alone.chain(chunks.iter().map(but)).collect();
        round.reverse();
        self.round = round;
    }
}
