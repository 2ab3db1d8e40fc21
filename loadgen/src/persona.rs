//! Who a shopper is: a customer of old, or somebody new with a made-up name.

use fake::Fake;
use fake::faker::name::en::{FirstName, LastName};
use rand::{Rng, RngExt};
use serde::Serialize;

/// TPC-W, clause 5.3: four of five shoppers have an account already.
const RETURNING: f64 = 0.8;

/// A shopper's identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Persona {
    /// One of the seeded customers, see `shop_contract::user::seeded_email`.
    Returning(u64),
    /// Somebody who is going to open an account.
    New(NewCustomer),
}

/// What a new customer registers with. All of it is made up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewCustomer {
    /// A first and a last name.
    pub name: String,
    /// Unique to seed and session; under `.example`, where no mail arrives (RFC 2606).
    pub email: String,
    /// At least eight characters, and not the seeded one, which the shop refuses.
    #[serde(skip)]
    pub password: String,
}

/// Deals personas to sessions.
///
/// Returning customers are dealt like cards: nobody comes twice before everybody has come once. Drawn with
/// replacement, one customer would often be in the shop twice at the same time, and the two would empty each other's
/// cart: errors of the load's own making.
#[derive(Debug, Clone)]
pub(crate) struct PersonaPicker {
    seed: u64,
    customers: u64,
    first: u64,
    stride: u64,
}

impl PersonaPicker {
    /// For a shop with this many seeded customers; where it has none, everybody is new.
    pub(crate) fn new(seed: u64, customers: u64, rng: &mut impl Rng) -> Self {
        let most = customers.max(1);
        let first = rng.random_range(0..most);
        let mut stride = rng.random_range(0..most).max(1);
        // Steps of a length that shares no divisor with the number of customers visit all of them.
        while gcd(stride, most) != 1 {
            stride += 1;
        }
        Self {
            seed,
            customers,
            first,
            stride,
        }
    }

    pub(crate) fn persona(&self, session: u64, rng: &mut impl Rng) -> Persona {
        let returning = rng.random_bool(RETURNING);
        if returning && self.customers > 0 {
            let position = u128::from(session) * u128::from(self.stride) + u128::from(self.first);
            return Persona::Returning((position % u128::from(self.customers)) as u64);
        }
        let first: String = FirstName().fake_with_rng(rng);
        let last: String = LastName().fake_with_rng(rng);
        let local: String = format!("{first}.{last}")
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '.')
            .map(|c| c.to_ascii_lowercase())
            .collect();
        Persona::New(NewCustomer {
            email: format!("{local}.{:x}.{session}@newcomer.example", self.seed),
            name: format!("{first} {last}"),
            password: format!("made-up-{:016x}", rng.random::<u64>()),
        })
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    proptest! {
        #[test]
        fn no_customer_is_in_the_shop_twice_at_a_time(seed: u64, customers in 1u64..500) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let picker = PersonaPicker::new(seed, customers, &mut rng);
            let mut seen = std::collections::HashSet::new();
            for session in 0..customers {
                if let Persona::Returning(n) = picker.persona(session, &mut rng) {
                    prop_assert!(n < customers);
                    prop_assert!(seen.insert(n), "customer {} came twice", n);
                }
            }
        }
    }

    #[test]
    fn one_in_five_is_new_and_an_unseeded_shop_sees_only_new_faces() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let new = |customers, rng: &mut ChaCha8Rng| {
            let picker = PersonaPicker::new(1, customers, rng);
            let all = (0..10_000).map(|s| picker.persona(s, rng));
            all.filter(|p| matches!(p, Persona::New(_))).count()
        };
        let count = new(1000, &mut rng);
        assert!((1800..2200).contains(&count), "{count} of 10000");
        assert_eq!(new(0, &mut rng), 10_000);
    }

    #[test]
    fn newcomers_differ_and_have_plain_addresses() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let picker = PersonaPicker::new(255, 0, &mut rng);
        let mut seen = std::collections::HashSet::new();
        for session in 0..1000 {
            let Persona::New(customer) = picker.persona(session, &mut rng) else {
                panic!("nobody can return to a shop without customers");
            };
            let (local, domain) = customer.email.split_once('@').unwrap();
            assert_eq!(domain, "newcomer.example");
            assert!(local.chars().all(|c| c.is_ascii_alphanumeric() || c == '.'));
            assert!(customer.password.len() >= 8);
            assert!(seen.insert(customer.email));
        }
    }
}
