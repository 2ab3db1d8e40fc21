//! The seeded catalogue. The same seed gives the same products, on every machine and at any time: the random generator
//! is portable, the arithmetic exact, and no clock is read.

use fake::Fake;
use fake::faker::lorem::en::Paragraph;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use shop_contract::Money;
use shop_contract::product::{Product, seeded_id};

use crate::vocabulary::{CATEGORIES, TRAITS};

/// 2026-01-01 00:00 UTC. All products were added in the year before.
const OPENED_MS: i64 = 1_767_225_600_000;
const YEAR_MS: i64 = 365 * 24 * 3600 * 1000;
/// Prices, in minor units.
const PRICES_MINOR: std::ops::RangeInclusive<i64> = 199..=49_999;
/// The median of the number sold.
const SOLD_MEDIAN: f64 = 5.0;
/// The highest number sold.
const SOLD_MOST: f64 = 100_000.0;

/// Product `n`, from 1. Each has its own stream of random numbers, so that a larger shop has the same products and some
/// more.
pub fn product(seed: u64, n: u64) -> Product {
    let mut draws = ChaCha8Rng::seed_from_u64(seed);
    draws.set_stream(n);
    let category = &CATEGORIES[draws.random_range(0..CATEGORIES.len())];
    let mut pick = |words: &[&'static str]| words.choose(&mut draws).copied().unwrap_or_default();
    let title = [pick(&TRAITS), pick(&category.kinds), pick(&category.things)].join(" ");
    Product {
        id: seeded_id(n),
        title,
        category: category.name.to_owned(),
        price: Money::of(draws.random_range(PRICES_MINOR)),
        sold: sold(draws.random()),
        added_at_ms: OPENED_MS - draws.random_range(0..YEAR_MS),
        description: Paragraph(2..4).fake_with_rng(&mut draws),
        availability: None,
    }
}

/// The number sold, from a uniform draw: few of most products, very many of some. With a Pareto tail of exponent 1, the
/// product of rank r has sold about 1/r of what the first one has, which is Zipf's law.
fn sold(draw: f64) -> i64 {
    // A draw is from 0 up to 1, so the divisor is never 0.
    (SOLD_MEDIAN / (1.0 - draw) - SOLD_MEDIAN).min(SOLD_MOST) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::words;

    fn catalogue(seed: u64) -> Vec<Product> {
        (1..=2000).map(|n| product(seed, n)).collect()
    }

    #[test]
    fn the_same_seed_makes_the_same_catalogue_and_another_seed_another() {
        assert_eq!(catalogue(7), catalogue(7));
        let differ = |(a, b): &(Product, Product)| a.title != b.title;
        let both = catalogue(7).into_iter().zip(catalogue(8));
        assert!(both.filter(differ).count() > 1800);
    }

    #[test]
    fn products_are_what_shops_sell() {
        for product in catalogue(7) {
            let category = CATEGORIES
                .iter()
                .find(|c| c.name == product.category)
                .unwrap();
            assert!(
                category.things.iter().any(|t| product.title.ends_with(t)),
                "{}",
                product.title
            );
            assert_eq!(words(&product.title).len(), 3, "{}", product.title);
            assert!(PRICES_MINOR.contains(&product.price.minor));
            assert!((OPENED_MS - YEAR_MS..=OPENED_MS).contains(&product.added_at_ms));
            assert!(product.description.len() > 20);
        }
    }

    #[test]
    fn every_department_has_about_its_share() {
        let catalogue = catalogue(7);
        for category in &CATEGORIES {
            let of = catalogue
                .iter()
                .filter(|p| p.category == category.name)
                .count();
            // Five standard deviations around 2000 / 12.
            assert!((104..=229).contains(&of), "{}: {of}", category.name);
        }
    }

    #[test]
    fn a_tenth_of_the_products_makes_most_of_the_sales() {
        let mut sold: Vec<i64> = catalogue(7).iter().map(|p| p.sold).collect();
        sold.sort_unstable_by(|a, b| b.cmp(a));
        let all: i64 = sold.iter().sum();
        let tenth: i64 = sold[..200].iter().sum();
        assert!(tenth * 2 > all, "{tenth} of {all}");
        assert!(sold.iter().all(|&s| s >= 0));
        assert!((3..=7).contains(&sold[1000]), "{}", sold[1000]);
    }
}
