//! The first accounts: seeded customers and one administrator.
//!
//! All have the published password and share one hash of it. With a salt each, hashing a thousand of them would take
//! almost a minute, to protect a password that everybody knows. Registration refuses that password, so no real account
//! has it.

use fake::Fake;
use fake::faker::name::en::Name;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use shop_contract::user::{ADMIN, CUSTOMER, SEEDED_ADMIN, User, seeded_email};
use shop_kit::store::StoreError;

use crate::store::Accounts;

/// Customer `n`. Each has its own stream of random numbers, so that a larger shop has the same customers and some more.
pub fn customer(seed: u64, n: u64) -> User {
    let mut draws = ChaCha8Rng::seed_from_u64(seed);
    draws.set_stream(n);
    User {
        id: format!("u-{n:06}"),
        email: seeded_email(n),
        name: Name().fake_with_rng(&mut draws),
        role: CUSTOMER.to_owned(),
    }
}

/// The administrator.
pub fn admin() -> User {
    User {
        id: "u-admin".to_owned(),
        email: SEEDED_ADMIN.to_owned(),
        name: "Administrator".to_owned(),
        role: ADMIN.to_owned(),
    }
}

/// Adds the accounts that are missing.
///
/// # Errors
/// A database error.
pub async fn customers(
    accounts: &Accounts,
    seed: u64,
    customers: u64,
    password_hash: &str,
) -> Result<(), StoreError> {
    let everyone: Vec<User> = std::iter::once(admin())
        .chain((0..customers).map(|n| customer(seed, n)))
        .collect();
    accounts.seed(&everyone, password_hash).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_customers_and_another_seed_others() {
        let names = |seed| -> Vec<String> { (0..20).map(|n| customer(seed, n).name).collect() };
        assert_eq!(names(7), names(7));
        assert_ne!(names(7), names(8));
        let mut distinct = names(7);
        distinct.sort_unstable();
        distinct.dedup();
        assert!(distinct.len() > 15, "{distinct:?}");
    }
}
