//! Arguments of the sector calls, and the views that provers read.

use crate::{
	Balance, BlockNumber, Commitment, DeadlineIndex, DealId, PartitionIndex, ProofTypeId, SectorNumber,
};
use alloc::vec::Vec;
use bounded_collections::{BoundedVec, ConstU32};
use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use scale_info::TypeInfo;

/// Most deals in a sealed sector.
pub const MAX_DEALS_PER_SECTOR: u32 = 128;
/// Most deals in a hot sector: its piece table is read with every proof.
pub const MAX_DEALS_PER_HOT_SECTOR: u32 = 32;
/// Most sectors in a partition: one bit each in a `u64`.
pub const SECTORS_PER_PARTITION: u32 = 64;
/// Longest activation proof of one call, in bytes.
pub const MAX_ACTIVATION_PROOF: u32 = 512 * 1024;
/// Longest windowed proof of one call, in bytes.
pub const MAX_WINDOW_PROOF: u32 = 960 * 1024;

/// Deals of a sector, in the order of their pieces.
pub type SectorDeals = BoundedVec<DealId, ConstU32<MAX_DEALS_PER_SECTOR>>;

/// A sector that the provider has filled and, in the sealed tier, sealed.
#[derive(Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Clone, PartialEq, Eq, Debug)]
pub struct SectorPreCommit {
	/// A number this provider never used before. Consumed even if the sector is never proven.
	pub sector: SectorNumber,
	/// How the sector is proven.
	pub proof_type: ProofTypeId,
	/// Commitment to the replica (CommR). In the hot tier the replica is the data: CommD.
	pub comm_r: Commitment,
	/// Commitment to the data (CommD). Must follow from the deals' pieces.
	pub comm_d: Commitment,
	/// Block of the sealing ticket. Ignored in the hot tier.
	pub ticket_at: BlockNumber,
	/// Block after which the sector need not be kept. In the hot tier the last deal's end decides.
	pub expiration: BlockNumber,
	/// Published deals whose pieces the sector holds, in the order of their offsets.
	pub deals: SectorDeals,
}

/// Bytes of an activation proof, in the layout of its version.
#[derive(Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Clone, PartialEq, Eq, Debug)]
pub enum ActivationProof {
	/// Openings, as the `hot` and `sealed` modules lay them out.
	#[codec(index = 0)]
	V1(BoundedVec<u8, ConstU32<MAX_ACTIVATION_PROOF>>),
}

/// Bytes of a windowed proof, in the layout of its version.
#[derive(Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Clone, PartialEq, Eq, Debug)]
pub enum WindowProof {
	/// Openings of every sector to prove, partition by partition in the order submitted, by slot
	/// within a partition.
	#[codec(index = 0)]
	V1(BoundedVec<u8, ConstU32<MAX_WINDOW_PROOF>>),
}

/// Part of a sector's activation proof.
#[derive(Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Clone, PartialEq, Eq, Debug)]
pub struct SectorProof {
	/// The pre-committed sector.
	pub sector: SectorNumber,
	/// First challenge that this part answers.
	pub first_challenge: u16,
	/// Number of challenges that this part answers.
	pub challenges: u16,
	/// The openings.
	pub proof: ActivationProof,
}

/// One partition of a windowed proof.
#[derive(
	Encode, Decode, DecodeWithMemTracking, MaxEncodedLen, TypeInfo, Clone, Copy, PartialEq, Eq, Debug,
)]
pub struct PartitionProof {
	/// Index within the deadline.
	pub partition: PartitionIndex,
	/// Bit i set: the sector in slot i is not proven and becomes faulty.
	pub skipped: u64,
}

/// One occurrence of a deadline.
#[derive(Encode, Decode, TypeInfo, Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeadlineWindow {
	/// Index within the proving period.
	pub deadline: DeadlineIndex,
	/// Number of the provider's proving period.
	pub period: u64,
	/// First block at which a proof is accepted; its beacon draws the challenges.
	pub open: BlockNumber,
	/// First block at which a proof is no longer accepted.
	pub close: BlockNumber,
}

/// What one sector must open in a deadline.
#[derive(Encode, Decode, TypeInfo, Clone, PartialEq, Eq, Debug)]
pub struct SectorChallenge {
	/// The sector.
	pub sector: SectorNumber,
	/// Its slot in the partition.
	pub slot: u32,
	/// Its proof type.
	pub proof_type: ProofTypeId,
	/// Commitment to the replica.
	pub comm_r: Commitment,
	/// Leaf indices to open, in order. A recovering sector answers the challenge it missed first.
	pub leaves: Vec<u64>,
}

/// What one partition must prove in a deadline.
#[derive(Encode, Decode, TypeInfo, Clone, PartialEq, Eq, Debug)]
pub struct PartitionChallenge {
	/// The partition.
	pub partition: PartitionIndex,
	/// Whether a proof was accepted already.
	pub proven: bool,
	/// Sectors to open, by slot.
	pub sectors: Vec<SectorChallenge>,
}

/// What a provider must prove in the deadline that is open now.
#[derive(Encode, Decode, TypeInfo, Clone, PartialEq, Eq, Debug)]
pub struct DeadlineChallenge {
	/// The occurrence.
	pub window: DeadlineWindow,
	/// Whether a usable beacon has appeared since the deadline opened. Without one there is nothing
	/// to prove yet.
	pub drawn: bool,
	/// The deadline's partitions.
	pub partitions: Vec<PartitionChallenge>,
}

/// Challenges of a pre-committed sector's activation.
#[derive(Encode, Decode, TypeInfo, Clone, PartialEq, Eq, Debug)]
pub struct ActivationChallenge {
	/// Seed of the challenges.
	pub seed: [u8; 32],
	/// Sealing ticket, part of the replica's identity. Zero in the hot tier.
	pub ticket: [u8; 32],
	/// Last block at which the sector may be proven.
	pub prove_by: BlockNumber,
	/// Bit i set: challenge i is answered already. 256 bits, little-endian.
	pub proven: [u8; 32],
}

/// State of a sector, as tools show it.
#[derive(Encode, Decode, TypeInfo, Clone, PartialEq, Eq, Debug)]
pub enum SectorState {
	/// Pre-committed, not proven yet.
	#[codec(index = 0)]
	PreCommitted,
	/// Live and proven on time.
	#[codec(index = 1)]
	Active,
	/// Live, a proof missed or a fault declared.
	#[codec(index = 2)]
	Faulty,
	/// Faulty, recovery declared.
	#[codec(index = 3)]
	Recovering,
	/// Past its expiry, kept until its deals are settled.
	#[codec(index = 4)]
	Expired,
}

/// A sector, as tools show it.
#[derive(Encode, Decode, TypeInfo, Clone, PartialEq, Eq, Debug)]
pub struct SectorView {
	/// Number.
	pub sector: SectorNumber,
	/// Proof type.
	pub proof_type: ProofTypeId,
	/// State.
	pub state: SectorState,
	/// Commitment to the data.
	pub comm_d: Commitment,
	/// Deals, in the order of their pieces.
	pub deals: Vec<DealId>,
	/// Block of the pre-commit (not proven yet) or the activation.
	pub since: BlockNumber,
	/// Block after which the sector ends.
	pub expiration: BlockNumber,
	/// Deadline and partition, once live.
	pub location: Option<(DeadlineIndex, PartitionIndex)>,
	/// Blocks proven so far.
	pub proven_blocks: u32,
	/// Deposit or pledge held.
	pub held: Balance,
}
