//! Deal proposals and the bytes that a client signs.

use crate::{Balance, BlockNumber, PieceInfo, Tier};
use alloc::vec::Vec;
use bounded_collections::{BoundedVec, ConstU32};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// First bytes of what a client signs. Bumped with every change of [`DealProposal`].
pub const SIGNING_DOMAIN: &[u8] = b"cairn/deal/v1";

/// Longest binary CID of a payload's root, in bytes.
pub type MaxRootLen = ConstU32<64>;
/// Longest label, in bytes.
pub type MaxLabelLen = ConstU32<128>;

/// What the stored piece contains.
#[derive(
	Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Clone, Copy, PartialEq, Eq, Debug,
)]
pub enum PayloadKind {
	/// A CAR of UnixFS blocks, stored verbatim and served to anyone.
	#[codec(index = 0)]
	Public,
	/// Encrypted, erasure-coded shards that only a manifest's holder can read.
	#[codec(index = 1)]
	Protected,
}

/// The object that a deal stores.
#[derive(Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Clone, PartialEq, Eq, Debug)]
pub enum DealPayload {
	/// Kind and root.
	#[codec(index = 0)]
	V1 {
		/// What the piece contains.
		kind: PayloadKind,
		/// Binary CID of the object's root (public) or manifest (protected).
		root: BoundedVec<u8, MaxRootLen>,
	},
}

impl DealPayload {
	/// The binary CID of the object's root.
	pub fn root(&self) -> &[u8] {
		match self {
			DealPayload::V1 { root, .. } => root,
		}
	}
}

/// Terms of a deal, as the client signs or submits them.
///
/// The deal's time begins when its sector is activated, at `start_by` the latest, and lasts
/// `duration` blocks. A proposal can be published until `start_by`, once.
#[derive(Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Clone, PartialEq, Eq, Debug)]
pub struct DealProposal<AccountId> {
	/// The piece: CommP, padded size and payload size.
	pub piece: PieceInfo,
	/// The object in the piece.
	pub payload: DealPayload,
	/// Who pays.
	pub client: AccountId,
	/// Owner account of the provider that stores.
	pub provider: AccountId,
	/// How storage is proven.
	pub tier: Tier,
	/// Last block at which the deal may be activated. After it the client is refunded.
	pub start_by: BlockNumber,
	/// Blocks from activation to the deal's end.
	pub duration: BlockNumber,
	/// Plancks per block of proven storage.
	pub price_per_block: Balance,
	/// Plancks the provider loses to the client if it does not keep the deal.
	pub provider_collateral: Balance,
	/// Random number that makes proposals with equal terms distinct.
	pub nonce: u64,
	/// Free text of the client.
	pub label: BoundedVec<u8, MaxLabelLen>,
}

impl<AccountId: Encode> DealProposal<AccountId> {
	/// Bytes that the client signs: domain, genesis hash of the chain, SCALE of the proposal.
	pub fn signing_bytes(&self, genesis_hash: &[u8; 32]) -> Vec<u8> {
		let mut bytes = Vec::with_capacity(SIGNING_DOMAIN.len() + 32 + self.encoded_size());
		bytes.extend_from_slice(SIGNING_DOMAIN);
		bytes.extend_from_slice(genesis_hash);
		self.encode_to(&mut bytes);
		bytes
	}
}

impl<AccountId> DealProposal<AccountId> {
	/// What the client sets aside: the whole duration's price. `None` if it overflows.
	pub fn total_price(&self) -> Option<Balance> {
		self.price_per_block.checked_mul(self.duration.into())
	}
}

/// The form in which browser wallets sign `message`: `<Bytes>message</Bytes>`.
pub fn wrapped_signing_bytes(message: &[u8]) -> Vec<u8> {
	let mut bytes = Vec::with_capacity(message.len() + 15);
	bytes.extend_from_slice(b"<Bytes>");
	bytes.extend_from_slice(message);
	bytes.extend_from_slice(b"</Bytes>");
	bytes
}

/// Identifies a proposal: BLAKE2b-256 of its signing bytes.
pub fn proposal_hash(signing_bytes: &[u8]) -> [u8; 32] {
	crate::draw::blake2_256(&[signing_bytes])
}

/// Price per block of a piece: `ask` plancks per GiB and block times the padded size, rounded up
/// and never zero for a non-zero ask. `None` on overflow.
pub fn price_per_block(ask_per_gib: Balance, padded_size: u64) -> Option<Balance> {
	Some(ask_per_gib.checked_mul(padded_size.into())?.div_ceil(1 << 30))
}

#[cfg(test)]
mod tests {
	use super::*;

	fn proposal() -> DealProposal<[u8; 32]> {
		DealProposal {
			piece: PieceInfo {
				commitment: [1; 32],
				size_log2: 11,
				payload_size: 2000,
			},
			payload: DealPayload::V1 {
				kind: PayloadKind::Public,
				root: alloc::vec![1, 0x55, 0x12, 0x20].try_into().expect("short"),
			},
			client: [2; 32],
			provider: [3; 32],
			tier: Tier::Hot,
			start_by: 100,
			duration: 30,
			price_per_block: 7,
			provider_collateral: 9,
			nonce: 0x0102030405060708,
			label: b"label".to_vec().try_into().expect("short"),
		}
	}

	/// Pins the wire format: wallets and providers of other languages rely on it.
	#[test]
	fn signing_bytes_golden_vector() {
		let expected = concat!(
			"636169726e2f6465616c2f7631",
			"0909090909090909090909090909090909090909090909090909090909090909",
			"0101010101010101010101010101010101010101010101010101010101010101",
			"0b",
			"d007000000000000",
			"0000",
			"1001551220",
			"0202020202020202020202020202020202020202020202020202020202020202",
			"0303030303030303030303030303030303030303030303030303030303030303",
			"00",
			"64000000",
			"1e000000",
			"07000000000000000000000000000000",
			"09000000000000000000000000000000",
			"0807060504030201",
			"146c6162656c",
		);
		assert_eq!(hex::encode(proposal().signing_bytes(&[9; 32])), expected);
	}

	#[test]
	fn price_is_rounded_up_and_checked() {
		assert_eq!(price_per_block(1, 128), Some(1));
		assert_eq!(price_per_block(0, 128), Some(0));
		assert_eq!(price_per_block(10, 1 << 30), Some(10));
		assert_eq!(price_per_block(3, (1 << 30) + 1), Some(4));
		assert_eq!(price_per_block(u128::MAX, 1 << 30), None);
		let mut huge = proposal();
		huge.price_per_block = u128::MAX;
		assert_eq!(huge.total_price(), None);
	}

	#[test]
	fn wrapped_form() {
		assert_eq!(wrapped_signing_bytes(b"x"), b"<Bytes>x</Bytes>");
	}
}
