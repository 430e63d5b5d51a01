//! Events of the storage-provider pallet. Encoded like the pallet's own.

use crate::{AccountId, Ask, FaultReason};
use cairn_primitives::{
	params::ProtocolParameters, Balance, BlockNumber, DeadlineIndex, DealId, PartitionIndex, ProofTypeId,
	SectorNumber,
};
use codec::{Decode, Encode};
use scale_info::TypeInfo;

/// What happened to providers and sectors.
#[derive(Encode, Decode, TypeInfo, Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum StorageProviderEvent {
	/// An account became a provider.
	#[codec(index = 0)]
	ProviderRegistered {
		/// Owner.
		provider: AccountId,
	},
	/// Contact or beneficiary changed.
	#[codec(index = 1)]
	ProviderUpdated {
		/// Owner.
		provider: AccountId,
	},
	/// The worker changed.
	#[codec(index = 2)]
	WorkerSet {
		/// Owner.
		provider: AccountId,
		/// New worker.
		worker: AccountId,
	},
	/// A provider left; its bond was released.
	#[codec(index = 3)]
	ProviderDeregistered {
		/// Owner.
		provider: AccountId,
	},
	/// An ask was set or withdrawn.
	#[codec(index = 4)]
	AskSet {
		/// Owner.
		provider: AccountId,
		/// Proof type of the ask.
		proof_type: ProofTypeId,
		/// The ask; none if withdrawn.
		ask: Option<Ask>,
	},
	/// A sector was committed to.
	#[codec(index = 5)]
	SectorPreCommitted {
		/// Owner.
		provider: AccountId,
		/// Sector.
		sector: SectorNumber,
		/// First block whose beacon may become the seed.
		prove_from: BlockNumber,
		/// Last block at which the sector may be proven.
		prove_by: BlockNumber,
	},
	/// Part of an activation proof was accepted.
	#[codec(index = 6)]
	ActivationPartAccepted {
		/// Owner.
		provider: AccountId,
		/// Sector.
		sector: SectorNumber,
		/// Challenges answered so far.
		answered: u16,
		/// Challenges in all.
		of: u16,
	},
	/// A sector is proven and live.
	#[codec(index = 7)]
	SectorActivated {
		/// Owner.
		provider: AccountId,
		/// Sector.
		sector: SectorNumber,
		/// Deadline it is proven in from now on.
		deadline: DeadlineIndex,
		/// Partition within the deadline.
		partition: PartitionIndex,
		/// Deals that run from now on.
		deals: Vec<DealId>,
	},
	/// A pre-committed sector was not proven in time.
	#[codec(index = 8)]
	PreCommitExpired {
		/// Owner.
		provider: AccountId,
		/// Sector.
		sector: SectorNumber,
		/// Deposit lost.
		forfeited: Balance,
	},
	/// A windowed proof was accepted.
	#[codec(index = 9)]
	WindowProofAccepted {
		/// Owner.
		provider: AccountId,
		/// Deadline.
		deadline: DeadlineIndex,
		/// Proving period.
		period: u64,
		/// Partitions proven.
		partitions: Vec<PartitionIndex>,
		/// Sectors proven.
		sectors: u32,
	},
	/// A sector became faulty: it is not paid for until it recovers.
	#[codec(index = 10)]
	SectorFaulty {
		/// Owner.
		provider: AccountId,
		/// Sector.
		sector: SectorNumber,
		/// Why.
		reason: FaultReason,
	},
	/// The provider declared that a faulty sector will be proven in its next deadline.
	#[codec(index = 11)]
	SectorRecovering {
		/// Owner.
		provider: AccountId,
		/// Sector.
		sector: SectorNumber,
	},
	/// A faulty sector answered the challenge it had missed.
	#[codec(index = 12)]
	SectorRecovered {
		/// Owner.
		provider: AccountId,
		/// Sector.
		sector: SectorNumber,
	},
	/// A sector reached its expiry; its pledge was released.
	#[codec(index = 13)]
	SectorExpired {
		/// Owner.
		provider: AccountId,
		/// Sector.
		sector: SectorNumber,
	},
	/// The protocol parameters changed.
	#[codec(index = 14)]
	ParametersSet {
		/// The parameters now in force.
		parameters: ProtocolParameters,
	},
}
