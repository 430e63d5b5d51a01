//! Random input that can be repeated: set `CAIRN_TEST_SEED` to the seed a failed test printed.

#![allow(dead_code, reason = "each test file uses a part")]

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

pub fn seed() -> u64 {
	let seed = match std::env::var("CAIRN_TEST_SEED") {
		Ok(seed) => seed.parse().expect("the seed is a number"),
		Err(_) => rand_core::OsRng.next_u64(),
	};
	println!("CAIRN_TEST_SEED={seed}");
	seed
}

pub fn rng() -> ChaCha8Rng {
	ChaCha8Rng::seed_from_u64(seed())
}

pub fn bytes(rng: &mut impl RngCore, len: usize) -> Vec<u8> {
	let mut bytes = vec![0; len];
	rng.fill_bytes(&mut bytes);
	bytes
}

/// A number below `end`.
pub fn below(rng: &mut impl RngCore, end: u64) -> u64 {
	rng.next_u64() % end
}
