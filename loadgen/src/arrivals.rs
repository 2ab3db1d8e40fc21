//! When shoppers arrive: a Poisson process whose rate is constant or changes linearly within each phase.
//!
//! Arrivals are open: they do not depend on replies (Schroeder, Wierman and Harchol-Balter, "Open versus closed: a
//! cautionary tale", NSDI 2006). They are drawn by inversion: the arrivals of a process with cumulative rate `L(t)` are
//! the points `L⁻¹(s)` for the arrivals `s` of a process of rate one (Çinlar, 1975). Each arrival takes one random
//! draw, whatever the rate. So a new rate in one phase does not change the draws of earlier phases.

use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::Exp1;

use crate::spec::Phase;

/// The instants of arrival since the start, ascending, in whole microseconds.
#[derive(Debug, Clone)]
pub struct Arrivals<'p> {
    phases: &'p [Phase],
    rng: ChaCha8Rng,
    /// Start of the first of `phases`, in seconds.
    start: f64,
    /// How many of the expected arrivals of the first of `phases` are used up.
    used: f64,
}

impl<'p> Arrivals<'p> {
    /// The arrivals of these phases, drawn from `rng`.
    pub fn new(phases: &'p [Phase], rng: ChaCha8Rng) -> Self {
        Self {
            phases,
            rng,
            start: 0.0,
            used: 0.0,
        }
    }
}

impl Iterator for Arrivals<'_> {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let mut need: f64 = self.rng.sample(Exp1);
        loop {
            let (phase, later) = self.phases.split_first()?;
            let left = expected(phase) - self.used;
            if need < left {
                self.used += need;
                let t = self.start + inverse(phase, self.used);
                return Some(Duration::from_micros((t * 1e6) as u64));
            }
            need -= left;
            self.start += phase.lasts.as_secs_f64();
            self.used = 0.0;
            self.phases = later;
        }
    }
}

/// Expected number of arrivals in a phase.
pub fn expected(phase: &Phase) -> f64 {
    (phase.from_rate + phase.to_rate) / 2.0 * phase.lasts.as_secs_f64()
}

/// Seconds into the phase at which `count` arrivals are expected: the root of `a t + (b - a) t² / 2 l = count`. This
/// form does not subtract nearly equal numbers when the ramp is gentle.
fn inverse(phase: &Phase, count: f64) -> f64 {
    let a = phase.from_rate;
    let slope = (phase.to_rate - a) / phase.lasts.as_secs_f64();
    let root = (a * a + 2.0 * slope * count).max(0.0).sqrt();
    let t = if a + root > 0.0 {
        2.0 * count / (a + root)
    } else {
        0.0
    };
    t.min(phase.lasts.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;

    fn phase(seconds: f64, from_rate: f64, to_rate: f64) -> Phase {
        Phase {
            name: "p".to_owned(),
            lasts: Duration::from_secs_f64(seconds),
            from_rate,
            to_rate,
            measure: true,
        }
    }

    fn draw(phases: &[Phase], seed: u64) -> Vec<f64> {
        Arrivals::new(phases, ChaCha8Rng::seed_from_u64(seed))
            .map(|t| t.as_secs_f64())
            .collect()
    }

    /// The Kolmogorov-Smirnov statistic: the largest distance between the sample's distribution and `cdf`, times √n. It
    /// exceeds 1.63 in 1 % of samples that do follow `cdf`.
    fn ks(mut sample: Vec<f64>, cdf: impl Fn(f64) -> f64) -> f64 {
        sample.sort_by(f64::total_cmp);
        let n = sample.len() as f64;
        let steps = sample.iter().enumerate().map(|(i, x)| {
            let p = cdf(*x);
            (p - i as f64 / n).abs().max((p - (i + 1) as f64 / n).abs())
        });
        steps.fold(0.0, f64::max) * n.sqrt()
    }

    #[test]
    fn at_a_constant_rate_the_gaps_are_exponential() {
        let instants = draw(&[phase(1000.0, 10.0, 10.0)], 11);
        let gaps = instants.windows(2).map(|w| w[1] - w[0]).collect();
        assert!(ks(gaps, |x| 1.0 - (-10.0 * x).exp()) < 1.63);
    }

    #[test]
    fn on_a_ramp_the_instants_follow_the_rate() {
        for (a, b) in [(0.0, 100.0), (10.0, 60.0), (60.0, 10.0), (100.0, 0.0)] {
            let instants = draw(&[phase(100.0, a, b)], 5);
            let cdf = |t: f64| (a * t + (b - a) * t * t / 200.0) / ((a + b) * 50.0);
            assert!(ks(instants, cdf) < 1.63, "{a} to {b}");
        }
    }

    #[test]
    fn a_phase_without_arrivals_is_empty_and_a_later_one_starts_on_time() {
        let instants = draw(&[phase(5.0, 0.0, 0.0), phase(5.0, 20.0, 20.0)], 3);
        assert!(instants.len() > 50);
        assert!(instants.iter().all(|t| (5.0..=10.0).contains(t)));
    }

    proptest! {
        #[test]
        fn counts_are_poisson_and_instants_ascend_within_the_phases(
            seed: u64,
            shapes in proptest::collection::vec((1.0..30.0, 0.0..200.0, 0.0..200.0), 1..5),
        ) {
            let phases: Vec<_> = shapes.iter().map(|(s, a, b)| phase(*s, *a, *b)).collect();
            let instants = draw(&phases, seed);
            let mean: f64 = phases.iter().map(expected).sum();
            let total: f64 = phases.iter().map(|p| p.lasts.as_secs_f64()).sum();
            // Six standard deviations, plus 10 for the long tail of small means.
            prop_assert!((instants.len() as f64 - mean).abs() <= 6.0 * mean.sqrt() + 10.0);
            prop_assert!(instants.windows(2).all(|w| w[0] <= w[1]));
            prop_assert!(instants.iter().all(|t| *t <= total));
            prop_assert_eq!(&instants, &draw(&phases, seed));
        }

        #[test]
        fn a_later_phase_does_not_change_an_earlier_one(seed: u64, rate in 0.0..100.0) {
            let alone = draw(&[phase(5.0, 20.0, 40.0)], seed);
            let followed = draw(&[phase(5.0, 20.0, 40.0), phase(5.0, rate, rate)], seed);
            prop_assert_eq!(&followed[..alone.len()], &alone[..]);
        }
    }
}
