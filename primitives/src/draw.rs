//! Domain-separated draws from the randomness beacon.

use crate::BlockNumber;

/// Tag of the chain of beacons.
pub const BEACON_TAG: &[u8; 16] = b"cairn/beacon/v1\0";
/// Tag of a sealing ticket.
pub const TICKET_TAG: &[u8; 16] = b"cairn/ticket/v1\0";
/// Tag of an activation seed.
pub const SEED_TAG: &[u8; 16] = b"cairn/seed/v1\0\0\0";

/// BLAKE2b-256 over the concatenation of `parts`.
pub fn blake2_256(parts: &[&[u8]]) -> [u8; 32] {
	let mut state = blake2b_simd::Params::new().hash_length(32).to_state();
	for part in parts {
		state.update(part);
	}
	let mut out = [0u8; 32];
	out.copy_from_slice(state.finalize().as_bytes());
	out
}

/// The beacon that follows `previous`: `blake2_256(tag ‖ previous ‖ relay value ‖ le32(relay
/// slot))`.
pub fn next_beacon(previous: &[u8; 32], relay_value: &[u8; 32], relay_slot: u32) -> [u8; 32] {
	blake2_256(&[BEACON_TAG, previous, relay_value, &relay_slot.to_le_bytes()])
}

/// The sealing ticket of a sector. The last byte is below 0x40, so that it is a field element.
pub fn ticket(beacon: &[u8; 32], prover_id: &[u8; 32], at: BlockNumber) -> [u8; 32] {
	crate::hash::trunc(blake2_256(&[TICKET_TAG, beacon, prover_id, &at.to_le_bytes()]))
}

/// The seed of a sector's activation challenges.
pub fn seed(beacon: &[u8; 32], prover_id: &[u8; 32], sector: u32) -> [u8; 32] {
	crate::hash::trunc(blake2_256(&[SEED_TAG, beacon, prover_id, &sector.to_le_bytes()]))
}

#[cfg(test)]
mod tests {
	use super::*;

	#[test]
	fn draws_are_separated() {
		let a = ticket(&[0; 32], &[0; 32], 0);
		let b = seed(&[0; 32], &[0; 32], 0);
		assert_ne!(a, b);
		assert_ne!(
			next_beacon(&[0; 32], &[0; 32], 0),
			next_beacon(&[0; 32], &[0; 32], 1)
		);
		assert!(a[31] < 0x40 && b[31] < 0x40);
	}
}
