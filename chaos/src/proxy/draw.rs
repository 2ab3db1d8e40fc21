//! Which connections a toxic touches. Pure.
//!
//! A connection's lot for a toxic depends on the seed, the names of proxy and toxic, how often a toxic of that name was
//! added before, and the connection's number; on nothing else. So the same seed spares the same connections in every
//! run, and an edit of one toxic changes nothing for another. A toxic that is added again draws anew, or an experiment
//! that is repeated would always meet the same connections.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::schedule::fnv1a;

/// The seed of a toxic's draws; `addition` counts the toxics of that name from 0.
pub(super) fn toxic_seed(seed: u64, proxy: &str, toxic: &str, addition: u64) -> u64 {
    // The zero byte keeps "a" + "bc" and "ab" + "c" apart: no name that came as JSON or argument needs it.
    fnv1a(&format!("{proxy}\0{toxic}\0{addition}")) ^ seed
}

/// What a connection has drawn for a toxic.
#[derive(Debug)]
pub(super) struct Lot {
    value: f64,
    /// For the further draws of this toxic on this connection: jitter, sizes.
    pub rng: ChaCha8Rng,
}

impl Lot {
    pub(super) fn draw(toxic_seed: u64, connection: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(toxic_seed);
        rng.set_stream(connection);
        Self {
            value: rng.random(),
            rng,
        }
    }

    /// Whether a toxic of that share touches the connection. A larger share touches all that a smaller one does.
    pub(super) fn is_within(&self, toxicity: f64) -> bool {
        self.value < toxicity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touched(seed: u64, toxicity: f64) -> Vec<u64> {
        (0..10_000)
            .filter(|c| Lot::draw(seed, *c).is_within(toxicity))
            .collect()
    }

    #[test]
    fn a_share_is_touched_and_the_same_one_every_time() {
        let seed = toxic_seed(7, "bank", "slow", 0);
        let some = touched(seed, 0.3);
        // Five standard deviations of a binomial distribution with n = 10,000 and p = 0.3.
        assert!((2770..=3230).contains(&some.len()), "{}", some.len());
        assert_eq!(some, touched(seed, 0.3));
        assert!(touched(seed, 0.0).is_empty());
        assert_eq!(touched(seed, 1.0).len(), 10_000);
    }

    #[test]
    fn a_larger_share_touches_all_that_a_smaller_one_does() {
        let seed = toxic_seed(7, "bank", "slow", 0);
        let more = touched(seed, 0.5);
        assert!(touched(seed, 0.2).iter().all(|c| more.contains(c)));
    }

    #[test]
    fn seed_names_and_repetition_each_change_the_draws() {
        let base = touched(toxic_seed(7, "bank", "slow", 0), 0.5);
        for other in [
            toxic_seed(8, "bank", "slow", 0),
            toxic_seed(7, "cart", "slow", 0),
            toxic_seed(7, "bank", "cut", 0),
            toxic_seed(7, "bank", "slow", 1),
        ] {
            let same = touched(other, 0.5)
                .iter()
                .filter(|c| base.binary_search(c).is_ok())
                .count();
            // Independent halves have a quarter in common.
            assert!((2250..=2750).contains(&same), "{same}");
        }
    }
}
