//! Random input of tests that can be had again: set `CAIRN_TEST_SEED` to the seed that a failed test printed.

use rand_chacha::ChaCha8Rng;
use rand_core::{OsRng, RngCore, SeedableRng};

/// The seed that is set, or one of the system's.
///
/// # Panics
/// If what is set is not a number.
pub fn seed() -> u64 {
	let seed = match std::env::var("CAIRN_TEST_SEED") {
		Ok(seed) => seed.parse().expect("CAIRN_TEST_SEED is a number"),
		Err(_) => OsRng.next_u64(),
	};
	println!("CAIRN_TEST_SEED={seed}");
	seed
}

/// Randomness from [`seed`].
pub fn rng() -> ChaCha8Rng {
	ChaCha8Rng::seed_from_u64(seed())
}

/// So many random bytes.
pub fn bytes(rng: &mut impl RngCore, len: usize) -> Vec<u8> {
	let mut bytes = vec![0; len];
	rng.fill_bytes(&mut bytes);
	bytes
}

/// A number below `end`, which is not 0.
pub fn below(rng: &mut impl RngCore, end: u64) -> u64 {
	rng.next_u64() % end
}
