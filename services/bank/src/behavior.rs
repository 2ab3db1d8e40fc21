//! The bank's delays and refusals: pure functions of seed and key.
//!
//! Nothing depends on the number or the order of earlier charges. So a repetition is treated like the first request,
//! and two runs of one scenario have the same bank although their requests arrive in different orders.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal};
use sha2::{Digest, Sha256};

use crate::charge::Card;
use crate::config::BankConfig;

/// The longest delay.
const LONGEST: Duration = Duration::from_secs(2);

/// How the bank behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BankBehavior {
    /// Half of its answers take longer than this. Zero: no delay at all.
    pub median: Duration,
    /// The standard deviation of the logarithm of the delay.
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
    /// The behavior for these settings. The spread is fixed: with 0.4 one answer in a hundred takes two and a half
    /// times the median.
    pub fn of(config: BankConfig) -> Self {
        Self {
            median: config.median,
            sigma: 0.4,
            decline_ratio: config.decline_ratio,
            silent_ratio: config.silent_ratio,
        }
    }

    /// Whether a charge is made and never answered. Only the first request for it: a repetition is answered.
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

    /// The delay of the answer to `about`: log-normal, as response times are, and bounded.
    pub fn takes(&self, seed: u64, about: &str) -> Duration {
        // A median of zero has no logarithm. With an invalid spread the delay is the median.
        let seconds = match LogNormal::new(self.median.as_secs_f64().ln(), self.sigma) {
            Ok(distribution) if !self.median.is_zero() => {
                distribution.sample(&mut draws(seed, "time", about))
            }
            _ => self.median.as_secs_f64(),
        };
        Duration::try_from_secs_f64(seconds).map_or(LONGEST, |time| time.min(LONGEST))
    }
}

/// Random numbers for this seed, purpose and key. Hashed, so that similar keys get unrelated numbers.
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
    fn a_share_of_charges_is_never_answered() {
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
    fn delays_spread_around_their_median_and_are_bounded() {
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
    fn a_median_of_zero_means_no_delay() {
        let behavior = BankBehavior {
            median: Duration::ZERO,
            ..BankBehavior::default()
        };
        assert!(keys().take(100).all(|k| behavior.takes(7, &k).is_zero()));
    }
}
