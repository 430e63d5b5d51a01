//! Challenges: which leaves a proof must open.
//!
//! Every preimage has a fixed width and a 16-byte tag of its own.

use crate::{draw::blake2_256, hash::Sha256, DeadlineIndex, SectorNumber};

/// Tag of a prover's identity.
pub const PROVER_ID_TAG: &[u8; 16] = b"cairn/prover/v1\0";
/// Tag of windowed challenges.
pub const WINDOW_TAG: &[u8; 16] = b"cairn/window/v1\0";
/// Tag of a hot sector's activation challenges.
pub const HOT_ACTIVATION_TAG: &[u8; 16] = b"cairn/hotact/v1\0";

/// The 32 bytes that stand for a provider in challenges, tickets and replicas:
/// `blake2_256(tag ‖ SCALE-encoded account)`.
pub fn prover_id(encoded_account: &[u8]) -> [u8; 32] {
	blake2_256(&[PROVER_ID_TAG, encoded_account])
}

/// Windowed challenge `j` of a sector, still to be reduced to a leaf by [`live_leaf`] (hot) or
/// [`replica_leaf`] (sealed):
/// `le64(blake2_256(tag ‖ beacon ‖ prover_id ‖ le64(sector) ‖ le64(period) ‖ le32(deadline) ‖
/// le32(j))[..8])`.
pub fn window_challenge(
	beacon: &[u8; 32],
	prover_id: &[u8; 32],
	sector: SectorNumber,
	period: u64,
	deadline: DeadlineIndex,
	j: u32,
) -> u64 {
	first_le64(&blake2_256(&[
		WINDOW_TAG,
		beacon,
		prover_id,
		&u64::from(sector).to_le_bytes(),
		&period.to_le_bytes(),
		&deadline.to_le_bytes(),
		&j.to_le_bytes(),
	]))
}

/// Activation challenge `j` of a hot sector, still to be reduced by [`live_leaf`] over all of its
/// pieces: `le64(blake2_256(tag ‖ seed ‖ prover_id ‖ le64(sector) ‖ le32(j))[..8])`.
pub fn hot_activation_challenge(seed: &[u8; 32], prover_id: &[u8; 32], sector: SectorNumber, j: u32) -> u64 {
	first_le64(&blake2_256(&[
		HOT_ACTIVATION_TAG,
		seed,
		prover_id,
		&u64::from(sector).to_le_bytes(),
		&j.to_le_bytes(),
	]))
}

/// Reduces `challenge` to a leaf that carries live payload, or detection would fall with emptiness.
///
/// `live` are the live pieces' (leaf offset in the sector, payload leaves), in any order that prover
/// and verifier share (the sector's). The challenge modulo their total counts through them. `None`
/// if there is no payload.
pub fn live_leaf<I>(live: I, challenge: u64) -> Option<u64>
where
	I: IntoIterator<Item = (u64, u64)> + Clone,
{
	let total = live
		.clone()
		.into_iter()
		.fold(0u64, |sum, (_, leaves)| sum.saturating_add(leaves));
	let mut rest = challenge.checked_rem(total)?;
	for (offset, leaves) in live {
		if rest < leaves {
			return offset.checked_add(rest);
		}
		rest -= leaves;
	}
	None
}

/// Reduces `challenge` to a leaf of a replica of `leaves` leaves: every leaf counts. 0 if there are
/// none.
pub const fn replica_leaf(challenge: u64, leaves: u64) -> u64 {
	match challenge.checked_rem(leaves) {
		Some(leaf) => leaf,
		None => 0,
	}
}

/// Activation challenge `j` of a sealed sector of `leaves` leaves (2 to 2³²):
/// `LE256(SHA-256(replica_id ‖ seed ‖ le32(j))) mod (leaves − 1) + 1`. Node 0, which has no parents,
/// is never challenged.
pub fn porep_challenge<H: Sha256>(replica_id: &[u8; 32], seed: &[u8; 32], j: u32, leaves: u64) -> u64 {
	let mut preimage = [0u8; 68];
	preimage[..32].copy_from_slice(replica_id);
	preimage[32..64].copy_from_slice(seed);
	preimage[64..].copy_from_slice(&j.to_le_bytes());
	let hash = H::digest(&preimage);
	let modulus = leaves.clamp(2, 1 << 32) - 1;
	// The remainder stays below 2^32, so that 64 bits hold each step.
	let remainder = hash
		.as_chunks::<4>()
		.0
		.iter()
		.rev()
		.fold(0u64, |remainder, limb| {
			(remainder << 32 | u64::from(u32::from_le_bytes(*limb))) % modulus
		});
	remainder + 1
}

fn first_le64(hash: &[u8; 32]) -> u64 {
	let mut first = [0u8; 8];
	first.copy_from_slice(&hash[..8]);
	u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
	use super::*;
	use crate::hash::NativeSha256;
	use alloc::{vec, vec::Vec};

	#[test]
	fn golden_vectors() {
		assert_eq!(
			hex::encode(prover_id(&[1; 32])),
			"b77e5db16ebf038d091e8b2b10222084b791dd976b0469dbeebebd2b8b2233e7"
		);
		assert_eq!(
			window_challenge(&[1; 32], &[2; 32], 3, 4, 5, 6),
			3625344393363088372
		);
		assert_eq!(
			hot_activation_challenge(&[1; 32], &[2; 32], 3, 6),
			10412498059546379631
		);
		assert_eq!(
			porep_challenge::<NativeSha256>(&[1; 32], &[2; 32], 3, 1 << 30),
			856793739
		);
	}

	#[test]
	fn every_input_of_a_window_challenge_counts() {
		let own = window_challenge(&[1; 32], &[2; 32], 3, 4, 5, 6);
		for other in [
			window_challenge(&[9; 32], &[2; 32], 3, 4, 5, 6),
			window_challenge(&[1; 32], &[9; 32], 3, 4, 5, 6),
			window_challenge(&[1; 32], &[2; 32], 9, 4, 5, 6),
			window_challenge(&[1; 32], &[2; 32], 3, 9, 5, 6),
			window_challenge(&[1; 32], &[2; 32], 3, 4, 9, 6),
			window_challenge(&[1; 32], &[2; 32], 3, 4, 5, 9),
		] {
			assert_ne!(own, other);
		}
	}

	#[test]
	fn live_leaves_are_counted_through_the_pieces() {
		let live = [(8, 3), (0, 1), (16, 2)];
		let hit: Vec<_> = (0..7).map(|challenge| live_leaf(live, challenge)).collect();
		assert_eq!(hit, [8, 9, 10, 0, 16, 17, 8].map(Some));
		assert_eq!(live_leaf([(8, 0), (4, 1)], u64::MAX), Some(4));
		assert_eq!(live_leaf([(8, 0)], 5), None);
		assert_eq!(live_leaf([], 5), None);
		assert_eq!(live_leaf([(u64::MAX, 2)], 1), None);
	}

	#[test]
	fn replica_leaves() {
		assert_eq!(replica_leaf(70, 64), 6);
		assert_eq!(replica_leaf(70, 0), 0);
	}

	/// Against long division of the hash byte by byte.
	#[test]
	fn porep_challenges_are_the_hash_modulo() {
		for leaves in [2u64, 3, 64, 1 << 25, 1 << 31, 1 << 32] {
			for j in 0..50 {
				let preimage = [&[1; 32][..], &[2; 32], &u32::to_le_bytes(j)].concat();
				let hash = NativeSha256::digest(&preimage);
				let remainder = hash.iter().rev().fold(0u128, |rest, byte| {
					(rest << 8 | u128::from(*byte)) % u128::from(leaves - 1)
				});
				let challenge = porep_challenge::<NativeSha256>(&[1; 32], &[2; 32], j, leaves);
				assert_eq!(u128::from(challenge), remainder + 1);
				assert!(challenge >= 1 && challenge < leaves);
			}
		}
		assert_eq!(porep_challenge::<NativeSha256>(&[1; 32], &[2; 32], 0, 0), 1);
		let all: Vec<_> = (0..1000)
			.map(|j| porep_challenge::<NativeSha256>(&[1; 32], &[2; 32], j, 4))
			.collect();
		assert_eq!(
			vec![true; 3],
			(1..4).map(|node| all.contains(&node)).collect::<Vec<_>>()
		);
	}

	#[test]
	fn tags_are_distinct() {
		let tags = [
			PROVER_ID_TAG,
			WINDOW_TAG,
			HOT_ACTIVATION_TAG,
			crate::draw::BEACON_TAG,
			crate::draw::TICKET_TAG,
			crate::draw::SEED_TAG,
		];
		for (i, tag) in tags.iter().enumerate() {
			assert!(!tags[i + 1..].contains(tag));
		}
	}
}
