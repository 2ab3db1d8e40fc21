//! How long the bank takes and whom it declines: pure functions of seed and key.
//!
//! Nothing depends on how many charges came before or in which order, so a repetition is treated like the first
//! time, and two runs of one scenario meet the same bank although their requests never arrive in the same order.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal};
use sha2::{Digest, Sha256};

use crate::charge::Card;
use crate::config::BankConfig;

/// The longest that the bank takes by itself.
const LONGEST: Duration = Duration::from_secs(2);

/// How the bank behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BankBehavior {
    /// Half of its answers take longer than this. Zero makes it a bank that takes no time at all.
    pub median: Duration,
    /// The spread: the standard deviation of the logarithm of the time it takes.
    pub sigma: f64,
    /// The share of ordinary cards that it declines, 0 to 1.
    pub decline_ratio: f64,
    /// The share of charges that it makes and never answers, 0 to 1.
    pub silent_ratio: f64,
}

impl Default for BankBehavior {
    fn default() -> Self {
        Self::of(BankConfig::default())
    }
}

impl BankBehavior {
    /// The behavior that a shop was told to expect. The spread is not among its settings: with 0.4 one answer in a
    /// hundred takes two and a half times the median.
    pub fn of(told: BankConfig) -> Self {
        Self {
            median: told.median,
            sigma: 0.4,
            decline_ratio: told.decline_ratio,
            silent_ratio: told.silent_ratio,
        }
    }

    /// Whether a charge is made without a word. Only the first time: whoever asks again is told what was done.
    pub fn is_silent(&self, seed: u64, key: &str) -> bool {
        draws(seed, "silence", key).random::<f64>() < self.silent_ratio
    }

    /// Whether a charge is declined.
    pub fn declines(&self, seed: u64, key: &str, card: Card) -> bool {
        match card {
            Card::Good => false,
            Card::Bad => true,
            Card::Ordinary => draws(seed, "decline", key).random::<f64>() < self.decline_ratio,
        }
    }

    /// How long the answer to `about` takes: log-normal, as times of answer are, with an end.
    pub fn takes(&self, seed: u64, about: &str) -> Duration {
        // A median of nothing has no logarithm. A spread that is no number leaves the median.
        let seconds = match LogNormal::new(self.median.as_secs_f64().ln(), self.sigma) {
            Ok(distribution) if !self.median.is_zero() => {
                distribution.sample(&mut draws(seed, "time", about))
            }
            _ => self.median.as_secs_f64(),
        };
        Duration::try_from_secs_f64(seconds).map_or(LONGEST, |time| time.min(LONGEST))
    }
}

/// A stream of random numbers that belongs to this seed, purpose and key. Hashed, so that keys that differ in one
/// character have nothing in common.
fn draws(seed: u64, purpose: &str, key: &str) -> ChaCha8Rng {
    let hash = Sha256::new()
        .chain_update(seed.to_le_bytes())
        .chain_update(purpose)
        .chain_update([0])
        .chain_update(key)
        .finalize();
    ChaCha8Rng::from_seed(hash.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> impl Iterator<Item = String> {
        (0..10_000).map(|n| format!("key-{n}"))
    }

    #[test]
    fn a_repetition_is_treated_like_the_first_time() {
        let behavior = BankBehavior::default();
        for key in keys().take(200) {
            let once = (
                behavior.declines(7, &key, Card::Ordinary),
                behavior.takes(7, &key),
            );
            let again = (
                behavior.declines(7, &key, Card::Ordinary),
                behavior.takes(7, &key),
            );
            assert_eq!(once, again);
        }
    }

    #[test]
    fn ordinary_cards_are_declined_in_their_share_good_ones_never_bad_ones_always() {
        let behavior = BankBehavior::default();
        let declined = |card| keys().filter(|k| behavior.declines(7, k, card)).count();
        // Four standard deviations of Binomial(10000, 0.02).
        assert!((144..=256).contains(&declined(Card::Ordinary)));
        assert_eq!(declined(Card::Good), 0);
        assert_eq!(declined(Card::Bad), 10_000);
    }

    #[test]
    fn it_keeps_silent_about_a_share_of_what_it_does() {
        let behavior = BankBehavior {
            silent_ratio: 0.02,
            ..BankBehavior::default()
        };
        let silent = keys().filter(|k| behavior.is_silent(7, k)).count();
        // Four standard deviations of Binomial(10000, 0.02).
        assert!((144..=256).contains(&silent), "{silent}");
        let never = BankBehavior {
            silent_ratio: 0.0,
            ..behavior
        };
        assert!(!keys().any(|k| never.is_silent(7, &k)));
    }

    #[test]
    fn another_seed_declines_others() {
        let behavior = BankBehavior::default();
        let of = |seed| -> Vec<String> {
            keys()
                .filter(|k| behavior.declines(seed, k, Card::Ordinary))
                .collect()
        };
        assert_ne!(of(7), of(8));
    }

    #[test]
    fn times_spread_around_their_median_and_have_an_end() {
        let behavior = BankBehavior::default();
        let mut times: Vec<Duration> = keys().map(|k| behavior.takes(7, &k)).collect();
        times.sort_unstable();
        // The median of 10000 draws lies within 2 % of the distribution's.
        assert!(times[5000].abs_diff(behavior.median) < Duration::from_millis(1));
        // 40 ms · exp(0.4 · 2.326): the 99th percentile.
        assert!(times[9900].abs_diff(Duration::from_millis(101)) < Duration::from_millis(8));
        let slow = BankBehavior {
            median: Duration::from_secs(60),
            ..behavior
        };
        assert_eq!(slow.takes(7, "key"), LONGEST);
    }

    #[test]
    fn a_bank_of_no_time_takes_none() {
        let behavior = BankBehavior {
            median: Duration::ZERO,
            ..BankBehavior::default()
        };
        assert!(keys().take(100).all(|k| behavior.takes(7, &k).is_zero()));
    }
}
