//! Stored types.

use cairn_primitives::{
	proven_time::ProvenTime,
	sector::{SectorDeals, MAX_DEALS_PER_HOT_SECTOR, MAX_DEALS_PER_SECTOR, SECTORS_PER_PARTITION},
	Balance, BlockNumber, Commitment, DeadlineIndex, PartitionIndex, PieceInfo, ProofTypeId, SectorNumber,
};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use frame_support::{pallet_prelude::ConstU32, BoundedVec};
use scale_info::TypeInfo;

/// Longest libp2p peer id, in bytes.
pub type MaxPeerIdLen = ConstU32<64>;
/// Longest binary multiaddress, in bytes.
pub type MaxAddressLen = ConstU32<128>;
/// Most addresses of a provider.
pub type MaxAddresses = ConstU32<8>;

/// How to reach a provider.
#[derive(Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Clone, PartialEq, Eq, Debug)]
pub enum ProviderContact {
	/// Peer id and addresses.
	#[codec(index = 0)]
	V1 {
		/// libp2p peer id; empty if the provider has none.
		peer_id: BoundedVec<u8, MaxPeerIdLen>,
		/// Binary multiaddresses. `/http` marks the provider's HTTP endpoint.
		addresses: BoundedVec<BoundedVec<u8, MaxAddressLen>, MaxAddresses>,
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

/// A registered provider. Its key in storage is the owner account.
#[derive(Encode, Decode, MaxEncodedLen, TypeInfo, Clone, PartialEq, Eq, Debug)]
pub struct ProviderRecord<AccountId> {
	/// May publish, commit, prove and declare.
	pub worker: AccountId,
	/// Receives earnings.
	pub beneficiary: AccountId,
	/// How to reach the provider.
	pub contact: ProviderContact,
	/// Offset of its proving period, below the period's length.
	pub period_offset: BlockNumber,
	/// Block of registration.
	pub registered_at: BlockNumber,
	/// Sectors in partitions.
	pub live_sectors: u32,
	/// Sectors with a record: live ones, and expired ones whose deals are not settled.
	pub sectors: u32,
	/// Pre-committed sectors.
	pub pre_commits: u32,
	/// Bond held from the owner.
	pub bond: Balance,
}

/// Numbers of one chunk of [`crate::AllocatedSectors`].
pub const SECTORS_PER_CHUNK: u32 = 1024;
/// Bitmap of one chunk of sector numbers.
pub type SectorChunk = [u64; 16];

/// A deal's piece in a sector.
#[derive(Encode, Decode, MaxEncodedLen, TypeInfo, Clone, Copy, PartialEq, Eq, Debug)]
pub struct CommittedPiece {
	/// The piece.
	pub piece: PieceInfo,
	/// Blocks from activation to the deal's end.
	pub duration: BlockNumber,
}

/// Bitmap over a sector's activation challenges.
pub type ChallengeBitmap = [u8; 32];

/// A sector between pre-commit and activation. CommR and CommD never change.
#[derive(Encode, Decode, MaxEncodedLen, TypeInfo, Clone, PartialEq, Eq, Debug)]
pub struct PreCommitRecord {
	/// Proof type.
	pub proof_type: ProofTypeId,
	/// Commitment to the replica.
	pub comm_r: Commitment,
	/// Commitment to the data.
	pub comm_d: Commitment,
	/// Sealing ticket; zero in the hot tier.
	pub ticket: [u8; 32],
	/// Deals.
	pub deals: SectorDeals,
	/// Their pieces, in the same order.
	pub pieces: BoundedVec<CommittedPiece, ConstU32<MAX_DEALS_PER_SECTOR>>,
	/// Requested expiry.
	pub expiration: BlockNumber,
	/// Deposit held from the owner.
	pub deposit: Balance,
	/// Block of the pre-commit.
	pub at: BlockNumber,
	/// Last block at which the sector may be proven.
	pub prove_by: BlockNumber,
	/// Seed of the activation challenges, copied here at its first use and never drawn twice.
	pub seed: Option<[u8; 32]>,
	/// Challenges answered.
	pub proven: ChallengeBitmap,
}

/// A piece of a hot sector, as challenges need it.
#[derive(Encode, Decode, MaxEncodedLen, TypeInfo, Clone, Copy, PartialEq, Eq, Debug)]
pub struct SectorPiece {
	/// The piece.
	pub piece: PieceInfo,
	/// Block at which its deal ends. Zero if the deal never ran.
	pub ends: BlockNumber,
}

/// The challenge that a faulty sector missed first.
#[derive(Encode, Decode, MaxEncodedLen, TypeInfo, Clone, Copy, PartialEq, Eq, Debug)]
pub struct MissedChallenge {
	/// Proving period.
	pub period: u64,
	/// Beacon of the deadline.
	pub beacon: [u8; 32],
}

/// Why and since when a sector is faulty.
#[derive(Encode, Decode, MaxEncodedLen, TypeInfo, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
	/// Block at which the fault was noticed.
	pub since: BlockNumber,
	/// First missed challenge. None while a declared fault has missed none.
	pub missed: Option<MissedChallenge>,
}

/// Where a live sector sits.
#[derive(Encode, Decode, MaxEncodedLen, TypeInfo, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Location {
	/// Deadline.
	pub deadline: DeadlineIndex,
	/// Partition within the deadline.
	pub partition: PartitionIndex,
	/// Slot within the partition.
	pub slot: u32,
}

/// An activated sector.
#[derive(Encode, Decode, MaxEncodedLen, TypeInfo, Clone, PartialEq, Eq, Debug)]
pub struct SectorRecord {
	/// Proof type.
	pub proof_type: ProofTypeId,
	/// Commitment to the replica.
	pub comm_r: Commitment,
	/// Commitment to the data.
	pub comm_d: Commitment,
	/// Deals, in the order of their pieces.
	pub deals: SectorDeals,
	/// Piece table, kept for hot sectors only.
	pub pieces: BoundedVec<SectorPiece, ConstU32<MAX_DEALS_PER_HOT_SECTOR>>,
	/// Block at whose first following close the sector ends.
	pub expiration: BlockNumber,
	/// Pledge held from the owner.
	pub pledge: Balance,
	/// Proven time.
	pub proven: ProvenTime,
	/// Fault, if any.
	pub fault: Option<Fault>,
	/// Where it sits; none once expired.
	pub location: Option<Location>,
	/// Deals not settled for the last time.
	pub open_deals: u32,
}

/// Up to 64 sectors of one proof type that are proven together. Bit i of a bitmap is slot i.
#[derive(Encode, Decode, MaxEncodedLen, TypeInfo, Clone, PartialEq, Eq, Debug)]
pub struct Partition {
	/// Proof type of all its sectors.
	pub proof_type: ProofTypeId,
	/// Sector in each slot; meaningful where `live` is set.
	pub slots: BoundedVec<SectorNumber, ConstU32<SECTORS_PER_PARTITION>>,
	/// Occupied slots.
	pub live: u64,
	/// Faulty sectors.
	pub faulty: u64,
	/// Faulty sectors whose recovery is declared.
	pub recovering: u64,
	/// Faulty sectors that have not missed a challenge yet.
	pub undrawn: u64,
	/// Close of the last deadline in which a proof was accepted.
	pub proven_close: BlockNumber,
	/// Close up to which missed proofs and expiries are worked off.
	pub settled_close: BlockNumber,
	/// Earliest expiration among the live sectors.
	pub min_expiration: BlockNumber,
}

impl Partition {
	/// Sectors that the next proof must cover, less the skipped ones.
	pub fn to_prove(&self, skipped: u64) -> u64 {
		self.provable() & !skipped
	}

	/// Sectors that can be proven: live ones that are not faulty, and recovering ones.
	pub fn provable(&self) -> u64 {
		self.live & (!self.faulty | self.recovering)
	}

	/// Slots set in `bits` with their sectors.
	pub fn sectors_in(&self, bits: u64) -> impl Iterator<Item = (u32, SectorNumber)> + '_ {
		self.slots
			.iter()
			.enumerate()
			.filter(move |(slot, _)| bits >> slot & 1 == 1)
			.map(|(slot, sector)| (slot as u32, *sector))
	}

	/// A slot for a new sector.
	pub fn free_slot(&self) -> Option<u32> {
		let slot = (!self.live).trailing_zeros();
		(slot < SECTORS_PER_PARTITION).then_some(slot)
	}
}

/// Totals of one deadline. It exists while the deadline has a close in the calendar.
#[derive(Encode, Decode, MaxEncodedLen, TypeInfo, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DeadlineHead {
	/// Index after the last partition. Partitions before it that became empty are gone.
	pub partitions: u32,
	/// Live sectors.
	pub live: u32,
	/// The deadline's one entry in [`crate::DeadlineCloses`].
	pub close: Option<BlockNumber>,
}

/// Why a sector became faulty.
#[derive(
	Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Clone, Copy, PartialEq, Eq, Debug,
)]
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

/// A provider, as tools show it.
#[derive(Encode, Decode, TypeInfo, Clone, PartialEq, Eq, Debug)]
pub struct ProviderView<AccountId> {
	/// Owner: the provider's identity.
	pub owner: AccountId,
	/// Worker account.
	pub worker: AccountId,
	/// Beneficiary account.
	pub beneficiary: AccountId,
	/// How to reach the provider.
	pub contact: ProviderContact,
	/// Offset of its proving period.
	pub period_offset: BlockNumber,
	/// Live sectors.
	pub live_sectors: u32,
	/// Block of registration.
	pub registered_at: BlockNumber,
}
