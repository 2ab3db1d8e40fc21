//! Where shoppers go next: a Markov chain over steps.
//!
//! The three mixes of TPC-W (specification 1.8, clause 5.3) are embedded from `data/tpcw-transitions.csv`. A scenario
//! can also define its own. A mix has no state and no end: [`crate::plan`] decides how long a session lasts.

use rand::{Rng, RngExt};
use syntax::{Node, did_you_mean, units};

use crate::step::{STEPS, Step};

/// How far the sum of a row's probabilities may be from 1. The difference goes to the row's last step.
const TOLERANCE: f64 = 0.001;

const TPCW: &str = include_str!("../data/tpcw-transitions.csv");

/// The names of the embedded mixes.
pub const MIXES: &[&str] = &["browsing", "shopping", "ordering"];

/// For each step, the probabilities of the next one.
#[derive(Debug, Clone, PartialEq)]
pub struct Mix {
    rows: [Vec<(Step, f64)>; Step::IN_MIXES],
}

impl Mix {
    /// An embedded mix by its name, one of [`MIXES`].
    pub fn named(name: &str) -> Option<Mix> {
        if !MIXES.contains(&name) {
            return None;
        }
        let mut mix = Mix::empty();
        for line in TPCW.lines().filter(|l| !l.starts_with('#')).skip(1) {
            let (of, from, to, p) =
                transition(line).expect("the file is part of the program, and a test reads it all");
            if of == name {
                mix.rows[from as usize].push((to, p));
            }
        }
        Some(mix)
    }

    /// Reads the name of an embedded mix, or a mapping from step to next step to probability.
    pub fn read(node: Node<'_>) -> Option<Mix> {
        if node.is_map() {
            return Mix::read_custom(node);
        }
        Mix::named(node.one_of(MIXES)?)
    }

    /// Draws the step after `from`.
    pub fn next(&self, from: Step, rng: &mut impl Rng) -> Step {
        let row = &self.rows[from as usize];
        let mut u: f64 = rng.random();
        for (step, p) in row {
            if u < *p {
                return *step;
            }
            u -= p;
        }
        // Rounding can leave a small remainder, which goes to the row's last step.
        row.last().map_or(Step::Home, |(step, _)| *step)
    }

    /// The steps that can follow `from`, with their probabilities.
    pub fn row(&self, from: Step) -> &[(Step, f64)] {
        self.rows.get(from as usize).map_or(&[], Vec::as_slice)
    }

    fn empty() -> Mix {
        Mix {
            rows: std::array::from_fn(|_| Vec::new()),
        }
    }

    fn read_custom(node: Node<'_>) -> Option<Mix> {
        let map = node.map()?;
        let mut mix = Mix::empty();
        let mut seen = Vec::new();
        for (name, key, value) in map.entries() {
            let (Some(from), Some(row)) = (step(name, key), value.map()) else {
                continue;
            };
            let mut sum = 0.0;
            for (name, key, value) in row.entries() {
                if let (Some(to), Some(p)) = (step(name, key), probability(value)) {
                    sum += p;
                    mix.rows[from as usize].push((to, p));
                    seen.push((to, key));
                }
            }
            if (sum - 1.0).abs() > TOLERANCE {
                key.mistake(format!(
                    "the probabilities after `{name}` must sum to 1, not to {sum:.4}"
                ));
            }
        }
        if mix.row(Step::Home).is_empty() {
            node.mistake("`home` is missing: every session starts there");
        }
        for (to, key) in seen {
            if mix.row(to).is_empty() && to != Step::Home {
                key.mistake(format!(
                    "`{0}` can be reached but not left; add what follows `{0}`",
                    to.name()
                ));
            }
        }
        Some(mix)
    }
}

/// One line of the embedded file: mix, from, to, probability.
fn transition(line: &str) -> Option<(&str, Step, Step, f64)> {
    let mut fields = line.split(',');
    let mix = fields.next()?;
    let from = Step::of_mix(fields.next()?)?;
    let to = Step::of_mix(fields.next()?)?;
    Some((mix, from, to, fields.next()?.parse().ok()?))
}

fn step(name: &str, key: Node<'_>) -> Option<Step> {
    let found = Step::of_mix(name);
    if found.is_none() {
        let known = &STEPS[..Step::IN_MIXES];
        key.mistake(format!(
            "unknown step `{name}`; {}",
            did_you_mean(name, known)
        ));
    }
    found
}

/// `0.25` or `25%`.
fn probability(node: Node<'_>) -> Option<f64> {
    let text = node.text()?;
    let p = text.parse().ok().or_else(|| units::parse_share(&text));
    let p = p.filter(|p: &f64| (0.0..=1.0).contains(p));
    if p.is_none() {
        node.mistake(format!(
            "expected a probability such as 0.25 or 25%, found `{text}`"
        ));
    }
    p
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use syntax::Document;

    /// Percentages of all interactions for browsing, shopping and ordering, from clause 5.3.1 of the specification.
    const PUBLISHED: [[f64; 3]; Step::IN_MIXES] = [
        [29.00, 16.00, 9.12],
        [11.00, 5.00, 0.46],
        [11.00, 5.00, 0.46],
        [21.00, 17.00, 12.35],
        [12.00, 20.00, 14.53],
        [11.00, 17.00, 13.08],
        [2.00, 11.60, 13.53],
        [0.82, 3.00, 12.86],
        [0.75, 2.60, 12.73],
        [0.69, 1.20, 10.18],
        [0.30, 0.75, 0.25],
        [0.25, 0.66, 0.22],
        [0.10, 0.10, 0.12],
        [0.09, 0.09, 0.11],
    ];

    /// The long-run share of each step, by power iteration.
    fn stationary(mix: &Mix) -> [f64; Step::IN_MIXES] {
        let mut share = [1.0 / Step::IN_MIXES as f64; Step::IN_MIXES];
        for _ in 0..10_000 {
            let mut next = [0.0; Step::IN_MIXES];
            for from in &Step::ALL[..Step::IN_MIXES] {
                for (to, p) in mix.row(*from) {
                    next[*to as usize] += share[*from as usize] * p;
                }
            }
            // Average with the step before, so that a periodic chain converges too.
            for (s, n) in share.iter_mut().zip(next) {
                *s = (*s + n) / 2.0;
            }
        }
        let sum: f64 = share.iter().sum();
        share.map(|s| s / sum)
    }

    #[test]
    fn each_mix_gives_the_published_frequencies_to_the_second_decimal() {
        for (m, name) in MIXES.iter().enumerate() {
            let shares = stationary(&Mix::named(name).unwrap());
            for (step, share) in Step::ALL.iter().zip(shares) {
                let published = PUBLISHED[*step as usize][m];
                assert!(
                    (share * 100.0 - published).abs() < 0.01,
                    "{name} {}: {:.4} instead of {published}",
                    step.name(),
                    share * 100.0
                );
            }
        }
    }

    #[test]
    fn every_line_of_the_embedded_file_parses_and_every_row_sums_to_one() {
        let lines = TPCW.lines().filter(|l| !l.starts_with('#')).skip(1);
        assert!(lines.clone().all(|l| transition(l).is_some()));
        assert!(
            lines
                .clone()
                .all(|l| MIXES.iter().any(|m| l.starts_with(m)))
        );
        for name in MIXES {
            let mix = Mix::named(name).unwrap();
            for step in &Step::ALL[..Step::IN_MIXES] {
                let sum: f64 = mix.row(*step).iter().map(|(_, p)| p).sum();
                assert!((sum - 1.0).abs() < TOLERANCE, "{name} {}", step.name());
            }
        }
    }

    #[test]
    fn steps_follow_with_the_probability_of_their_row() {
        let mix = Mix::named("shopping").unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let n = 100_000;
        let hits = (0..n)
            .filter(|_| mix.next(Step::BuyRequest, &mut rng) == Step::BuyConfirm)
            .count();
        // The transition probability is 0.4615. The tolerance is five standard deviations.
        assert!((f64::from(n) * 0.4615 - hits as f64).abs() < 5.0 * 158.0);
    }

    #[test]
    fn a_custom_mix_is_read_and_its_mistakes_are_reported() {
        let good =
            "home: { search_request: 100% }\nsearch_request: { home: 0.5, search_request: 0.5 }\n";
        let doc = Document::parse("m", good).unwrap();
        let mix = Mix::read(doc.root()).unwrap();
        doc.finish().unwrap();
        assert_eq!(mix.row(Step::Home), [(Step::SearchRequest, 1.0)]);

        let bad =
            "home: { serch_request: 0.5, product_detail: 0.2, login: 0.5 }\nbuy: { home: 1.5 }\n";
        let doc = Document::parse("m", bad).unwrap();
        Mix::read(doc.root());
        let messages = doc.finish().unwrap_err().to_string();
        for expected in [
            "unknown step `serch_request`; did you mean `search_request`?",
            "unknown step `login`",
            "unknown step `buy`",
            "must sum to 1, not to 0.2",
            "`product_detail` can be reached but not left",
        ] {
            assert!(
                messages.contains(expected),
                "{expected} is not in {messages}"
            );
        }
    }
}
