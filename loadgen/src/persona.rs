//! Who a shopper is: a seeded customer who returns, or a new customer with made-up data.

use fake::Fake;
use fake::faker::name::en::{FirstName, LastName};
use rand::{Rng, RngExt};
use serde::Serialize;

/// TPC-W, clause 5.3: 80 % of shoppers already have an account.
const RETURNING: f64 = 0.8;

/// A shopper's identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Persona {
    /// One of the seeded customers: see `shop_contract::user::seeded_email`.
    Returning(u64),
    /// A customer without an account.
    New(NewCustomer),
}

/// The data a new customer registers with. All of it is made up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewCustomer {
    /// First and last name.
    pub name: String,
    /// Unique to seed and session. The domain ends in `.example`, which receives no mail (RFC 2606).
    pub email: String,
    /// At least eight characters. Never the password of seeded customers, which the shop refuses.
    #[serde(skip)]
    pub password: String,
}

/// Assigns personas to sessions.
///
/// Returning customers are assigned without replacement: nobody comes twice before everybody has come once. With
/// replacement, one customer would often be in the shop twice at the same time. Those two sessions would empty each
/// other's cart, which would be errors caused by the load.
#[derive(Debug, Clone)]
pub(crate) struct PersonaPicker {
    seed: u64,
    customers: u64,
    first: u64,
    stride: u64,
}

impl PersonaPicker {
    /// For a shop with this many seeded customers. With none, every shopper is new.
    pub(crate) fn new(seed: u64, customers: u64, rng: &mut impl Rng) -> Self {
        let most = customers.max(1);
        let first = rng.random_range(0..most);
        let mut stride = rng.random_range(0..most).max(1);
        // A stride that is coprime to the number of customers visits all of them.
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
        fn no_customer_returns_before_all_others_came(seed: u64, customers in 1u64..500) {
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
    fn one_in_five_is_new_and_without_seeded_customers_all_are() {
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
    fn new_customers_differ_and_have_valid_addresses() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let picker = PersonaPicker::new(255, 0, &mut rng);
        let mut seen = std::collections::HashSet::new();
        for session in 0..1000 {
            let Persona::New(customer) = picker.persona(session, &mut rng) else {
                panic!("there is no customer who could return");
            };
            let (local, domain) = customer.email.split_once('@').unwrap();
            assert_eq!(domain, "newcomer.example");
            assert!(local.chars().all(|c| c.is_ascii_alphanumeric() || c == '.'));
            assert!(customer.password.len() >= 8);
            assert!(seen.insert(customer.email));
        }
    }
}
