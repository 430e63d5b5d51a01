//! Types of the storage-provider pallet's calls and reads. Encoded like the pallet's own.

use crate::AccountId;
use bounded_collections::{BoundedVec, ConstU32};
use cairn_primitives::{Balance, BlockNumber, ProofSpec, ProofTypeId};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// Longest libp2p peer id, in bytes.
pub const MAX_PEER_ID_LEN: u32 = 64;
/// Longest binary multiaddress, in bytes.
pub const MAX_ADDRESS_LEN: u32 = 128;
/// Most addresses of a provider.
pub const MAX_ADDRESSES: u32 = 8;

/// How to reach a provider.
#[derive(Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Clone, PartialEq, Eq, Debug)]
pub enum ProviderContact {
	/// Peer id and addresses.
	#[codec(index = 0)]
	V1 {
		/// libp2p peer id; empty if the provider has none.
		peer_id: BoundedVec<u8, ConstU32<MAX_PEER_ID_LEN>>,
		/// Binary multiaddresses. `/http` marks the provider's HTTP endpoint.
		addresses: BoundedVec<BoundedVec<u8, ConstU32<MAX_ADDRESS_LEN>>, ConstU32<MAX_ADDRESSES>>,
	},
}

/// What a provider offers for one proof type.
#[derive(
	Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Clone, Copy, PartialEq, Eq, Debug,
)]
pub enum Ask {
	/// Price and bounds.
	#[codec(index = 0)]
	V1 {
		/// Plancks per GiB of padded piece and block.
		price_per_gib: Balance,
		/// Binary logarithm of the smallest padded piece taken.
		min_piece_log2: u8,
		/// Binary logarithm of the largest padded piece taken.
		max_piece_log2: u8,
		/// Shortest deal taken, in blocks.
		min_duration: BlockNumber,
		/// Longest deal taken, in blocks.
		max_duration: BlockNumber,
		/// Whether new deals are taken at all.
		accepting: bool,
	},
}

/// Why a sector became faulty.
#[derive(Encode, Decode, TypeInfo, Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultReason {
	/// Its deadline closed without a proof.
	#[codec(index = 0)]
	Missed,
	/// A proof was accepted that left it out.
	#[codec(index = 1)]
	Skipped,
	/// The provider said so before the challenge was known.
	#[codec(index = 2)]
	Declared,
}

/// A registered provider.
#[derive(Encode, Decode, TypeInfo, Clone, PartialEq, Eq, Debug)]
pub struct ProviderView {
	/// Owner: the provider's identity.
	pub owner: AccountId,
	/// May publish, commit, prove and declare.
	pub worker: AccountId,
	/// Receives earnings.
	pub beneficiary: AccountId,
	/// How to reach the provider.
	pub contact: ProviderContact,
	/// Offset of its proving period, in blocks.
	pub period_offset: BlockNumber,
	/// Live sectors.
	pub live_sectors: u32,
	/// Block of registration.
	pub registered_at: BlockNumber,
}

/// A proof type that the chain knows.
#[derive(Encode, Decode, TypeInfo, Clone, Copy, PartialEq, Eq, Debug)]
pub struct RegisteredProofType {
	/// Its identifier.
	pub id: ProofTypeId,
	/// Its parameters.
	pub spec: ProofSpec,
	/// Whether new sectors may use it.
	pub accepts_new_sectors: bool,
}

/// A sealing ticket.
#[derive(Encode, Decode, TypeInfo, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket {
	/// Block it belongs to; goes into the pre-commit.
	pub at: BlockNumber,
	/// Its value for the provider; goes into the replica's identity.
	pub ticket: [u8; 32],
}
