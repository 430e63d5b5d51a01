//! Labels, columns, and the identity of a replica.

use super::graph::{DEGREE, DRG_DEGREE, EXPANDER_DEGREE};
use crate::{
	hash::{trunc, Sha256},
	proof_type::MAX_LAYERS,
	Commitment, SectorNumber,
};
use alloc::vec;

/// Parents' labels in a label's preimage: the node's parents, repeated up to this number.
pub const REPEATED_PARENTS: usize = 37;
/// Bytes of a label's preimage before the parents: `replica_id ‖ be32(layer) ‖ be64(node) ‖ 0^20`.
pub const LABEL_HEADER_LEN: usize = 64;
/// Bytes of a label's whole preimage. Node 0 has the header only.
pub const LABEL_PREIMAGE_LEN: usize = LABEL_HEADER_LEN + REPEATED_PARENTS * 32;
/// First 32 bytes of a column leaf's preimage.
pub const COLUMN_TAG: [u8; 32] = *b"cairn/column/1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// What binds a replica to its provider, sector, time and data:
/// `trunc(SHA-256(prover_id ‖ be64(sector) ‖ ticket ‖ CommD ‖ porep_id))`.
pub fn replica_id<H: Sha256>(
	prover_id: &[u8; 32],
	sector: SectorNumber,
	ticket: &[u8; 32],
	comm_d: &Commitment,
	porep_id: &[u8; 32],
) -> [u8; 32] {
	let mut preimage = [0u8; 136];
	preimage[..32].copy_from_slice(prover_id);
	preimage[32..40].copy_from_slice(&u64::from(sector).to_be_bytes());
	preimage[40..72].copy_from_slice(ticket);
	preimage[72..104].copy_from_slice(comm_d);
	preimage[104..].copy_from_slice(porep_id);
	trunc(H::digest(&preimage))
}

/// The first 64 bytes of a label's preimage: one SHA-256 block.
pub fn label_header(replica_id: &[u8; 32], layer: u32, node: u64) -> [u8; LABEL_HEADER_LEN] {
	let mut header = [0u8; LABEL_HEADER_LEN];
	header[..32].copy_from_slice(replica_id);
	header[32..36].copy_from_slice(&layer.to_be_bytes());
	header[36..44].copy_from_slice(&node.to_be_bytes());
	header
}

/// The label of `node` in `layer` (from 1): `trunc(SHA-256(header ‖ P))`.
///
/// P is 37 labels. In layer 1 the six of the DRG parents, over and over. From layer 2 on the 14 of
/// all parents, twice, then nine of them: DRG parents' labels from the same layer, expander parents'
/// from the layer before. `drg` and `expander` are in the order of [`super::Graph::parents`]; layer 1
/// ignores `expander`, node 0 both.
pub fn label<H: Sha256>(
	replica_id: &[u8; 32],
	layer: u32,
	node: u64,
	drg: &[[u8; 32]; DRG_DEGREE],
	expander: &[[u8; 32]; EXPANDER_DEGREE],
) -> [u8; 32] {
	let header = label_header(replica_id, layer, node);
	if node == 0 {
		return trunc(H::digest(&header));
	}
	let mut preimage = [0u8; LABEL_PREIMAGE_LEN];
	let (header_part, parents_part) = preimage.split_at_mut(LABEL_HEADER_LEN);
	header_part.copy_from_slice(&header);
	let parents = if layer <= 1 { DRG_DEGREE } else { DEGREE };
	let source = drg.iter().chain(expander).take(parents).cycle();
	for (slot, label) in parents_part.chunks_exact_mut(32).zip(source) {
		slot.copy_from_slice(label);
	}
	trunc(H::digest(&preimage))
}

/// Leaf of the column tree: `trunc(SHA-256(tag ‖ L₁ ‖ … ‖ L_m))`, the labels of one node in every
/// layer, from the first.
pub fn column_leaf<H: Sha256>(labels: &[[u8; 32]]) -> [u8; 32] {
	let mut on_stack = [0u8; 32 + MAX_LAYERS as usize * 32];
	let mut on_heap;
	let len = 32 + labels.len() * 32;
	let preimage = if len <= on_stack.len() {
		&mut on_stack[..len]
	} else {
		on_heap = vec![0u8; len];
		&mut on_heap[..]
	};
	let (tag, rest) = preimage.split_at_mut(32);
	tag.copy_from_slice(&COLUMN_TAG);
	rest.copy_from_slice(labels.as_flattened());
	trunc(H::digest(preimage))
}

/// CommR: `trunc(SHA-256(CommC ‖ CommRLast))`, the roots over columns and replica.
pub fn comm_r<H: Sha256>(comm_c: &Commitment, comm_r_last: &Commitment) -> Commitment {
	crate::hash::inner_node::<H>(comm_c, comm_r_last)
}
