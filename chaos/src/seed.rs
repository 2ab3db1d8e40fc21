//! Seeds that depend on a name and on the run's seed.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The seed of a fault or a storm: the first number of ChaCha8 seeded with `FNV-1a(name) xor run seed`.
///
/// FNV-1a separates names; ChaCha8 makes the results of neighbouring run seeds unrelated.
pub(crate) fn seed_of(name: &str, run_seed: u64) -> u64 {
    ChaCha8Rng::seed_from_u64(fnv1a(name) ^ run_seed).next_u64()
}

/// FNV-1a, 64 bits, with the offset basis and prime of its reference (Fowler, Noll, Vo).
pub(crate) fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
