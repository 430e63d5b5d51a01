//! The permutation behind the expander's edges: a Feistel network with cycle walking.

use blake2b_simd::{
	many::{hash_many, HashManyJob},
	Params,
};

/// Rounds of the network.
pub const FEISTEL_ROUNDS: usize = 3;

/// Most applications of the network to one index.
///
/// The network permutes the next power of four; a result beyond the range is permuted again until
/// it falls inside. With sizes that are powers of two at least half of the numbers lie inside, so a
/// walk of this length has a probability of about 2⁻⁶⁴ per edge. Weights assume a few; the cap keeps
/// even an adversarial size bounded. Prover and verifier share this code, so they also agree beyond
/// it.
pub const MAX_CYCLE_WALK: usize = 64;

/// A keyed permutation of `0..elements`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Feistel {
	elements: u64,
	half_bits: u32,
	half_mask: u64,
	keys: [u64; FEISTEL_ROUNDS],
}

impl Feistel {
	/// The permutation of `0..elements` under the keys that `seed` holds: 64-bit little-endian
	/// numbers, of which the rounds use the first three. `elements` is 1 to 2⁶⁰.
	pub fn new(elements: u64, seed: &[u8; 32]) -> Self {
		let mut half_bits = 1;
		while half_bits < 30 && 1u64 << (2 * half_bits) < elements {
			half_bits += 1;
		}
		let mut keys = [0u64; FEISTEL_ROUNDS];
		for (key, bytes) in keys.iter_mut().zip(seed.as_chunks::<8>().0) {
			*key = u64::from_le_bytes(*bytes);
		}
		Feistel {
			elements,
			half_bits,
			half_mask: (1 << half_bits) - 1,
			keys,
		}
	}

	/// Numbers that are permuted.
	pub const fn elements(&self) -> u64 {
		self.elements
	}

	/// The place of `index` (below [`Self::elements`]).
	pub fn permute(&self, index: u64) -> u64 {
		let mut place = index;
		for _ in 0..MAX_CYCLE_WALK {
			place = self.network(place);
			if place < self.elements {
				return place;
			}
		}
		place % self.elements.max(1)
	}

	/// [`Self::permute`] for several indices at once, in place. Uses the processor's vector units
	/// where they exist; making whole layers of parents spends its time here.
	pub fn permute_many<const N: usize>(&self, indices: &mut [u64; N]) {
		let mut walking = [true; N];
		for _ in 0..MAX_CYCLE_WALK {
			self.network_many(indices, &walking);
			for (walks, place) in walking.iter_mut().zip(indices.iter()) {
				*walks &= *place >= self.elements;
			}
			if !walking.contains(&true) {
				return;
			}
		}
		for place in indices {
			*place %= self.elements.max(1);
		}
	}

	/// The index whose place is `place`: the reverse of [`Self::permute`].
	pub fn invert(&self, place: u64) -> u64 {
		let mut index = place;
		for _ in 0..MAX_CYCLE_WALK {
			index = self.inverse_network(index);
			if index < self.elements {
				return index;
			}
		}
		index % self.elements.max(1)
	}

	fn network(&self, x: u64) -> u64 {
		let (mut left, mut right) = ((x >> self.half_bits) & self.half_mask, x & self.half_mask);
		for key in self.keys {
			(left, right) = (right, left ^ self.round(right, key));
		}
		left << self.half_bits | right
	}

	/// The network on those of `xs` that are `walking`.
	fn network_many<const N: usize>(&self, xs: &mut [u64; N], walking: &[bool; N]) {
		let params = Params::new();
		let mut halves = xs.map(|x| ((x >> self.half_bits) & self.half_mask, x & self.half_mask));
		for key in self.keys {
			let preimages = halves.map(|(_, right)| preimage(right, key));
			let mut jobs: [HashManyJob; N] =
				core::array::from_fn(|i| HashManyJob::new(&params, &preimages[i]));
			hash_many(
				jobs.iter_mut()
					.zip(walking)
					.filter(|(_, walks)| **walks)
					.map(|(job, _)| job),
			);
			for (((left, right), job), _) in halves
				.iter_mut()
				.zip(&jobs)
				.zip(walking)
				.filter(|(_, walks)| **walks)
			{
				let output = first_be64(job.to_hash().as_bytes()) & self.half_mask;
				(*left, *right) = (*right, *left ^ output);
			}
		}
		for ((x, (left, right)), _) in xs
			.iter_mut()
			.zip(halves)
			.zip(walking)
			.filter(|(_, walks)| **walks)
		{
			*x = left << self.half_bits | right;
		}
	}

	fn inverse_network(&self, x: u64) -> u64 {
		let (mut left, mut right) = ((x >> self.half_bits) & self.half_mask, x & self.half_mask);
		for key in self.keys.into_iter().rev() {
			(left, right) = (right ^ self.round(left, key), left);
		}
		left << self.half_bits | right
	}

	/// First eight bytes, big-endian, of BLAKE2b-512(be64(half) ‖ be64(key)).
	fn round(&self, half: u64, key: u64) -> u64 {
		first_be64(blake2b_simd::blake2b(&preimage(half, key)).as_bytes()) & self.half_mask
	}
}

fn preimage(half: u64, key: u64) -> [u8; 16] {
	let mut preimage = [0u8; 16];
	preimage[..8].copy_from_slice(&half.to_be_bytes());
	preimage[8..].copy_from_slice(&key.to_be_bytes());
	preimage
}

/// Callers pass a hash of 64 bytes.
fn first_be64(hash: &[u8]) -> u64 {
	hash.first_chunk()
		.copied()
		.map(u64::from_be_bytes)
		.unwrap_or_default()
}

#[cfg(test)]
mod tests {
	use super::*;
	use alloc::vec;

	#[test]
	fn is_a_permutation_on_any_range() {
		for elements in [1, 2, 3, 4, 5, 6, 8, 12, 17, 64, 100, 512, 1024, 2048] {
			let feistel = Feistel::new(elements, &[7; 32]);
			let mut hit = vec![false; elements as usize];
			for index in 0..elements {
				let place = feistel.permute(index);
				assert!(place < elements);
				assert!(!core::mem::replace(&mut hit[place as usize], true));
				assert_eq!(feistel.invert(place), index);
			}
		}
	}

	#[test]
	fn many_at_once_is_the_same() {
		for elements in [1, 5, 17, 64, 512, 2048] {
			let feistel = Feistel::new(elements, &[8; 32]);
			for index in 0..elements {
				let mut places = core::array::from_fn::<u64, 7, _>(|i| (index + i as u64) % elements);
				let expected = places.map(|index| feistel.permute(index));
				feistel.permute_many(&mut places);
				assert_eq!(places, expected);
			}
		}
	}

	#[test]
	fn half_bits_are_the_next_power_of_four() {
		for (elements, half_bits) in [
			(1, 1),
			(4, 1),
			(5, 2),
			(16, 2),
			(17, 3),
			(512, 5),
			(1 << 33, 17),
			(1 << 34, 17),
		] {
			assert_eq!(
				Feistel::new(elements, &[0; 32]).half_bits,
				half_bits,
				"{elements}"
			);
		}
	}

	/// The largest walks stay far below the cap.
	#[test]
	fn walks_are_short() {
		let feistel = Feistel::new(1 << 15, &[9; 32]);
		let mut longest = 0;
		for index in 0..1 << 15 {
			let (mut place, mut walk) = (feistel.network(index), 1);
			while place >= feistel.elements {
				place = feistel.network(place);
				walk += 1;
			}
			longest = longest.max(walk);
		}
		assert!(longest < MAX_CYCLE_WALK / 2, "{longest}");
	}
}
