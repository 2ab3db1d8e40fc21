//! Which connections a toxic affects. Pure.
//!
//! A draw depends only on the seed, the names of proxy and toxic, how often a toxic of that name was added before, and
//! the connection's number. So the same seed selects the same connections in every run, and a change of one toxic does
//! not affect another. A toxic that is added again selects other connections, so a repeated experiment covers more of
//! them.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::seed::fnv1a;

/// The seed of a toxic's draws; `addition` counts the toxics of that name from 0.
pub(super) fn toxic_seed(seed: u64, proxy: &str, toxic: &str, addition: u64) -> u64 {
    // The zero byte separates "a" + "bc" from "ab" + "c"; names from JSON or the command line do not contain it.
    fnv1a(&format!("{proxy}\0{toxic}\0{addition}")) ^ seed
}

/// The draw of a connection for a toxic.
#[derive(Debug)]
pub(super) struct ConnectionDraw {
    value: f64,
    /// For the other random values of this toxic on this connection: jitter, sizes.
    pub rng: ChaCha8Rng,
}

impl ConnectionDraw {
    pub(super) fn new(toxic_seed: u64, connection: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(toxic_seed);
        rng.set_stream(connection);
        Self {
            value: rng.random(),
            rng,
        }
    }

    /// Whether a toxic with this share affects the connection. A larger share affects all connections of a smaller one.
    pub(super) fn is_selected(&self, toxicity: f64) -> bool {
        self.value < toxicity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(seed: u64, toxicity: f64) -> Vec<u64> {
        (0..10_000)
            .filter(|c| ConnectionDraw::new(seed, *c).is_selected(toxicity))
            .collect()
    }

    #[test]
    fn a_share_of_connections_is_selected_and_always_the_same_one() {
        let seed = toxic_seed(7, "bank", "slow", 0);
        let some = selected(seed, 0.3);
        // Five standard deviations of a binomial distribution with n = 10,000 and p = 0.3.
        assert!((2770..=3230).contains(&some.len()), "{}", some.len());
        assert_eq!(some, selected(seed, 0.3));
        assert!(selected(seed, 0.0).is_empty());
        assert_eq!(selected(seed, 1.0).len(), 10_000);
    }

    #[test]
    fn a_larger_share_includes_all_connections_of_a_smaller_one() {
        let seed = toxic_seed(7, "bank", "slow", 0);
        let more = selected(seed, 0.5);
        assert!(selected(seed, 0.2).iter().all(|c| more.contains(c)));
    }

    #[test]
    fn seed_names_and_repetition_each_change_the_draws() {
        let base = selected(toxic_seed(7, "bank", "slow", 0), 0.5);
        for other in [
            toxic_seed(8, "bank", "slow", 0),
            toxic_seed(7, "cart", "slow", 0),
            toxic_seed(7, "bank", "cut", 0),
            toxic_seed(7, "bank", "slow", 1),
        ] {
            let same = selected(other, 0.5)
                .iter()
                .filter(|c| base.binary_search(c).is_ok())
                .count();
            // Independent halves have a quarter in common.
            assert!((2250..=2750).contains(&same), "{same}");
        }
    }
}
